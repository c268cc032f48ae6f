"""Namespace: while it is being deleted, everything inside goes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from controller.reconcile.outcome import Outcome, again, done
from controller.reconcile.reconciler import AlsoWatch, World
from crds.catalog import Catalog
from crds.conditions import ConditionType, Reason
from crds.errors import Conflict, Forbidden, NotFound
from crds.kind import Kind, KubeObject
from crds.kinds.event import EVENT
from crds.kinds.namespace import NAMESPACE, Namespace
from crds.meta import Condition, set_condition
from crds.phases import NamespacePhase

REQUEUE_SECONDS = 1.0
_MOST_REFUSED = 3


class NamespaceReconciler:
    """`catalog` names the kinds that may be inside."""

    kind: Kind[Namespace] = NAMESPACE
    finalizer: str | None = "aerekos.cloud/contents"
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def reconcile(self, resource: Namespace, world: World) -> Outcome:
        """Never raises."""
        resource.status.phase = NamespacePhase.ACTIVE
        return done()

    async def finalize(self, resource: Namespace, world: World) -> Outcome:
        """Asks everything inside to go, and looks again until it is empty. Raises ApiError from the writes."""
        resource.status.phase = NamespacePhase.TERMINATING
        left: Counter[str] = Counter()
        held: Counter[str] = Counter()
        refused: list[str] = []
        for kind in self._inside():
            for item in await _empty(kind, resource.metadata.name, world, refused):
                left[kind.resource] += 1
                held.update(item.metadata.finalizers or ())
        for each in _remaining(left, held, refused):
            set_condition(resource.status.conditions, each, now=world.clock.now())
        if left:
            told = ", ".join(f"{count} {resource.partition('.')[0]}" for resource, count in sorted(left.items()))
            why = f"; {refused[0]}" if refused else ""
            return again(REQUEUE_SECONDS, f"still inside: {told}{why}", reason=Reason.CONTENTS_REMAIN)
        # Last, because leaving makes news; nobody waits for them, the sweeper takes what is told later.
        await _empty(EVENT, resource.metadata.name, world, [])
        return done("empty")

    def _inside(self) -> list[Kind[Any]]:
        return [kind for kind in self._catalog if kind.namespaced and kind is not EVENT]


def _remaining(left: Counter[str], held: Counter[str], refused: Sequence[str]) -> Iterable[Condition]:
    """What still stands in the way, by the conditions that people look for in Kubernetes."""
    kinds = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(left.items()))
    names = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(held.items()))
    told = (
        (ConditionType.CONTENT_REMAINING, kinds and f"Some resources are remaining: {kinds}",
         Reason.SOME_RESOURCES_REMAIN, Reason.CONTENT_REMOVED, "All content successfully removed"),
        (ConditionType.FINALIZERS_REMAINING,
         names and f"Some content in the namespace has finalizers remaining: {names}",
         Reason.SOME_FINALIZERS_REMAIN, Reason.CONTENT_HAS_NO_FINALIZERS,
         "All content-preserving finalizers finished"),
        (ConditionType.DELETION_CONTENT_FAILURE, "; ".join(refused[:_MOST_REFUSED]),
         Reason.CONTENT_DELETION_FAILED, Reason.CONTENT_DELETED,
         "All content successfully deleted, may be waiting on finalization"),
    )  # fmt: skip
    for kind, fault, reason, good_reason, good in told:
        yield Condition(
            type=kind,
            status="True" if fault else "False",
            reason=reason if fault else good_reason,
            message=fault or good,
        )


async def _empty(kind: Kind[Any], namespace: str, world: World, refused: list[str]) -> Sequence[KubeObject]:
    """Ask all of a kind to go. What was there, with those that wait for finalizers or may not go yet."""
    items: Sequence[KubeObject] = (await world.resources.list(kind, namespace)).items
    for item in items:
        if item.metadata.deletion_timestamp is not None:
            continue
        try:
            await world.resources.delete(kind, item.metadata.name, namespace, uid=item.metadata.uid)
        except NotFound:
            continue
        except (Conflict, Forbidden) as error:
            refused.append(error.message)
    return items
