"""CustomResourceDefinition: says that its kind is served, and empties it before it goes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from controller.reconcile.outcome import Outcome, again, done
from controller.reconcile.reconciler import AlsoWatch, World
from crds.catalog import Catalog
from crds.conditions import ConditionType, Reason
from crds.errors import NotFound
from crds.kind import Kind
from crds.kinds.definition import DEFINITION, CustomResourceDefinition
from crds.meta import Condition, set_condition

REQUEUE_SECONDS = 1.0


class DefinitionReconciler:
    """The registry has put the kind into the catalog before we hear of it."""

    kind: Kind[CustomResourceDefinition] = DEFINITION
    finalizer: str | None = "customresourcecleanup.apiextensions.k8s.io"
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def reconcile(self, resource: CustomResourceDefinition, world: World) -> Outcome:
        """Never raises."""
        status, spec, now = resource.status, resource.spec, world.clock.now()
        status.accepted_names = spec.names
        if spec.stored.name not in status.stored_versions:
            status.stored_versions.append(spec.stored.name)
        names = Condition(
            type=ConditionType.NAMES_ACCEPTED, status="True", reason=Reason.NO_CONFLICTS, message="no conflicts found"
        )
        ready = Condition(
            type=ConditionType.ESTABLISHED,
            status="True",
            reason=Reason.INITIAL_NAMES_ACCEPTED,
            message="it is served",
        )
        for each in (names, ready):
            set_condition(status.conditions, each, now=now)
        return done()

    async def finalize(self, resource: CustomResourceDefinition, world: World) -> Outcome:
        """Asks every resource of the kind to go, and looks again until none is left."""
        going = Condition(type=ConditionType.TERMINATING, status="True", reason=Reason.INSTANCE_DELETION_IN_PROGRESS,
                          message="its resources are being deleted; none can be created")  # fmt: skip
        set_condition(resource.status.conditions, going, now=world.clock.now())
        kind = self._catalog.find(resource.spec.group, resource.spec.names.plural)
        if left := await _empty(kind, world) if kind else 0:
            return again(REQUEUE_SECONDS, f"{left} resources of this kind remain", reason=Reason.INSTANCES_REMAIN)
        return done("no resource of this kind is left")


async def _empty(kind: Kind[Any], world: World) -> int:
    """Ask all of a kind to go. How many there were, counting those that wait for finalizers."""
    items = (await world.resources.list(kind)).items
    for item in items:
        meta = item.metadata
        if meta.deletion_timestamp is None:
            with contextlib.suppress(NotFound):
                await world.resources.delete(kind, meta.name, meta.namespace, uid=meta.uid)
    return len(items)
