"""Lending a right: what a service does because a resource says so, whoever wrote that must be allowed to do.

A WebhookSource that names an endpoint has anything sent through it; an endpoint that wants Events is sent them. Asked
with every write of such a spec that changes it, not only with the one that names the right: whoever changes the
address has the Events as well. A right that is used once, as the one to the backup that a Database begins with, is
asked for with the write that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.auth.authorizer import Authorizer
from api.auth.principal import Principal
from api.auth.rules import Action
from crds.errors import Forbidden
from crds.kind import Kind

Body = Mapping[str, Any]


def refuse_lending(
    authorizer: Authorizer,
    who: Principal,
    kind: Kind[Any],
    namespace: str,
    before: Body,
    after: Body,
    *,
    partly: bool = False,
) -> None:
    """Raises Forbidden where the service would do what `who` may not. `partly`: `after` says only what is changed."""
    old, new = _spec(before), _spec(after)
    if kind.lends is None or not new or new == old:
        return
    lent = {right for each in ((old, new) if partly else (new,)) for right in kind.lends(each)}
    used = {right for right in kind.lends(old) if right.once} if old else set()
    for right in sorted(lent - used):
        if not authorizer.allows(who, Action(right.verb, right.group, right.plural, namespace, right.name)):
            what = f'{right.plural} "{right.name}"' if right.name else right.plural
            raise Forbidden(
                f'{what} is forbidden: user "{who.name}" may not {right.verb} it in the namespace "{namespace}", and '
                f"this {kind.name} would have that done"
            )


def _spec(body: Body) -> Mapping[str, Any]:
    found = body.get("spec")
    return found if isinstance(found, dict) else {}
