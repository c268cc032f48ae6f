"""Escalation: nobody gives away more than they have, so writing a role or a binding needs everything that it allows.

Without this, whoever may write role bindings could make themselves an admin. As Kubernetes has it: the verbs
`escalate` (on roles) and `bind` (on bindings) lift the check for those who were given them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from api.auth.authorizer import Authorizer
from api.auth.bindings import rules_of
from api.auth.principal import Principal
from api.auth.rules import EVERYTHING, Action, Rule
from crds.errors import Cause, Forbidden, Invalid
from crds.kind import Kind
from crds.kinds.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, GROUP, ROLE, ROLE_BINDING

MOST_COMPARED = 20_000
_ROLES = (ROLE, CLUSTER_ROLE)
_BINDINGS = (ROLE_BINDING, CLUSTER_ROLE_BINDING)


def refuse_escalation(
    authorizer: Authorizer, who: Principal, kind: Kind[Any], namespace: str, name: str, body: dict[str, Any]
) -> None:
    """Raises Forbidden when `body`, written by `who`, would allow more than `who` may do there."""
    if kind in _ROLES:
        wanted = [*rules_of(body), *([EVERYTHING] if body.get("aggregationRule") else ())]
        lifted = Action("escalate", GROUP, kind.plural, namespace, name)
    elif kind in _BINDINGS:
        given = body.get("roleRef")
        reference: dict[str, Any] = given if isinstance(given, dict) else {}
        bound = authorizer.role(reference, namespace)
        # A role that somebody makes later could allow anything.
        wanted = [EVERYTHING] if bound is None else list(bound)
        of = ROLE if reference.get("kind") == "Role" else CLUSTER_ROLE
        lifted = Action("bind", GROUP, of.plural, namespace, str(reference.get("name", "")))
    else:
        return
    held = list(authorizer.rules(who, namespace))
    if EVERYTHING in held:
        return
    _check_size(kind, name, wanted)
    lacking = [rule for rule in wanted if not _covered(rule, held, namespace)]
    if lacking and not authorizer.allows(who, lifted):
        told = "; ".join(_told(rule) for rule in lacking)
        raise Forbidden(
            f'{kind.resource} "{name}" is forbidden: user "{who.name}" is attempting to grant permissions '
            f"not currently held: {told}"
        )


def _check_size(kind: Kind[Any], name: str, wanted: Iterable[Rule]) -> None:
    """Raises Invalid for what takes long to compare: a rule means every verb on every resource of every group."""
    size = sum(len(r.verbs) * len(r.groups) * len(r.resources) * max(1, len(r.names)) for r in wanted)
    if size > MOST_COMPARED:
        text = f"Too many: {size} combinations of verb, group and resource; at most {MOST_COMPARED} can be compared"
        raise Invalid(f'{kind.resource} "{name}" is invalid: rules: {text}', causes=(Cause("rules", text),))


def _covered(rule: Rule, held: Sequence[Rule], namespace: str) -> bool:
    places = product(rule.verbs, rule.groups, rule.resources, rule.names or ("",))
    return all(any(each.allows(Action(v, g, r, namespace, n)) for each in held) for v, g, r, n in places)


def _told(rule: Rule) -> str:
    return f"{{verbs: {list(rule.verbs)}, apiGroups: {list(rule.groups)}, resources: {list(rule.resources)}}}"
