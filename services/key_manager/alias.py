"""The KeyAlias reconciler: says where an alias points, and when it points nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from crds.kind import key_of
from crds.meta import ObjectKey
from services.key_manager.conditions import KeyReason
from services.key_manager.key_state import alias_arn
from services.key_manager.kinds import KEY, KEY_ALIAS, Key, KeyAlias
from services.sdk.aws.accounts import account_of
from services.sdk.reconcile import AlsoWatch, Lister, Outcome, World, done, waiting


def _aliases_of(key: Key, seen: Lister) -> Iterable[ObjectKey]:
    aliases = seen.list(KEY_ALIAS, key.metadata.namespace)
    return [key_of(KEY_ALIAS, each) for each in aliases if each.spec.key == key.metadata.name]


class AliasReconciler:
    """Touches nothing but the alias's status."""

    kind = KEY_ALIAS
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = (AlsoWatch(KEY, _aliases_of),)

    async def reconcile(self, resource: KeyAlias, world: World) -> Outcome:
        namespace = resource.metadata.namespace or "default"
        resource.status.arn = alias_arn(account_of(namespace), resource.spec.alias_name)
        if world.seen.get(KEY, resource.spec.key, namespace) is None:
            return waiting(f"Key {resource.spec.key}", reason=KeyReason.KEY_NOT_FOUND)
        return done()

    async def finalize(self, resource: KeyAlias, world: World) -> Outcome:
        return done()
