"""The DatabaseParameterGroup reconciler: each Database that names it has its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from crds.errors import ApiError, NotFound
from crds.invariants import is_dying
from crds.kind import KubeObject
from crds.meta import ObjectKey
from services.db_manager.kinds import DATABASE, Database
from services.db_manager.rds.parameter_group import (
    DATABASE_PARAMETER_GROUP,
    DatabaseParameterGroup,
    group_names,
    wanted_now,
)
from services.sdk.reconcile import AlsoWatch, Lister, Outcome, Temporary, World, done
from services.sdk.resources import Resources

_AGAIN_SECONDS = 5.0


def group_of(resource: KubeObject, seen: Lister) -> Iterable[ObjectKey]:
    """The group that a Database names."""
    del seen
    for name in group_names(resource.wire()):
        yield DATABASE_PARAMETER_GROUP.key(name, resource.metadata.namespace)


class ParameterGroupReconciler:
    """`own`: the service's own resources. What waits for a reboot is left to it."""

    kind = DATABASE_PARAMETER_GROUP
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = (AlsoWatch(DATABASE, group_of),)

    def __init__(self, own: Resources) -> None:
        self._own = own

    async def reconcile(self, resource: DatabaseParameterGroup, world: World) -> Outcome:
        """One Database that cannot have it keeps it from no other."""
        listing = await self._own.list(DATABASE, resource.metadata.namespace)
        failed: list[str] = []
        for each in listing.items:
            if resource.metadata.name in group_names(each.wire()) and not is_dying(each.wire()):
                try:
                    await self._hand_on(resource, each)
                except ApiError as error:
                    failed.append(f"the Database {each.metadata.name}: {error.message}")
        if failed:
            raise Temporary("; ".join(failed), after=_AGAIN_SECONDS)
        return done()

    async def finalize(self, resource: DatabaseParameterGroup, world: World) -> Outcome:
        return done()

    async def _hand_on(self, group: DatabaseParameterGroup, database: Database) -> None:
        """Raises ApiError."""
        present = database.spec.parameters
        wanted = wanted_now(group.spec, present)
        if wanted == present:
            return
        change = {**wanted, **{name: None for name in present if name not in wanted}}
        read = {"resourceVersion": database.metadata.resource_version}
        try:
            await self._own.patch(
                DATABASE,
                database.metadata.name,
                {"metadata": read, "spec": {"parameters": change}},
                database.metadata.namespace,
            )
        except NotFound:
            return
