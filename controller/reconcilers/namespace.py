"""Namespace: while it is being deleted, everything inside goes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controller.loop.outcome import Outcome, again, done
from controller.loop.reconciler import AlsoWatch, World
from crds.catalog import Catalog
from crds.errors import Conflict, Forbidden, NotFound
from crds.kind import Kind
from crds.kinds.event import EVENT
from crds.kinds.namespace import NAMESPACE, Namespace

LOOK_AGAIN_SECONDS = 1.0


class NamespaceReconciler:
    """`catalog` names the kinds that may be inside."""

    kind: Kind[Namespace] = NAMESPACE
    finalizer: str | None = "aerekos.cloud/contents"
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def reconcile(self, resource: Namespace, world: World) -> Outcome:
        """Never raises."""
        resource.status.phase = "Active"
        return done()

    async def finalize(self, resource: Namespace, world: World) -> Outcome:
        """Asks everything inside to go, and looks again until it is empty. Raises ApiError from the writes."""
        resource.status.phase = "Terminating"
        left: dict[str, int] = {}
        refused: list[str] = []
        for kind in self._inside():
            if count := await _empty(kind, resource.metadata.name, world, refused):
                left[kind.plural] = count
        if left:
            told = ", ".join(f"{count} {plural}" for plural, count in sorted(left.items()))
            why = f"; {refused[0]}" if refused else ""
            return again(LOOK_AGAIN_SECONDS, f"still inside: {told}{why}", reason="ContentsRemain")
        # Last, because leaving makes news; nobody waits for them, the sweeper takes what is told later.
        await _empty(EVENT, resource.metadata.name, world, [])
        return done("empty")

    def _inside(self) -> list[Kind[Any]]:
        return [kind for kind in self._catalog if kind.namespaced and kind is not EVENT]


async def _empty(kind: Kind[Any], namespace: str, world: World, refused: list[str]) -> int:
    """Ask all of a kind to go. How many there were, counting those that wait for finalizers or may not go yet."""
    items = (await world.resources.list(kind, namespace)).items
    for item in items:
        if item.metadata.deletion_timestamp is not None:
            continue
        try:
            await world.resources.delete(kind, item.metadata.name, namespace, uid=item.metadata.uid)
        except NotFound:
            continue
        except (Conflict, Forbidden) as error:
            refused.append(error.message)
    return len(items)
