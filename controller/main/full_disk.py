"""The disk of the store fills up, and has room again: what the conductor does, and whom it tells."""

from __future__ import annotations

from controller.kit.threads import Threads
from controller.main.components import Components
from controller.reconcile.loop import Loop
from controller.store.reserve import Turn, watch_room
from crds.errors import NotFound
from crds.event_reasons import EventReason
from crds.kind import KubeObject
from crds.kinds.namespace import NAMESPACE
from crds.kinds.worker import WORKER


async def keep_room(components: Components, loop: Loop) -> None:
    """Watch the room on the disk until cancelled. Events are about this machine's Worker, or `default` where the
    conductor's machine is none. A store elsewhere takes no room here.
    """
    if components.settings.store:
        return

    def take_new(yes: bool) -> None:
        components.registry.takes_new = yes

    def tell(turn: Turn) -> None:
        if turn == "Full":
            text = "the disk of the store is full: only changes and deletions are taken, in the room kept for them"
            loop.events.record(_about(components), EventReason.DISK_FULL, text, warning=True)
        else:
            loop.events.record(
                _about(components),
                EventReason.DISK_SPACE_AVAILABLE,
                "the disk of the store has room again: everything is taken",
            )

    await watch_room(components.reserve, components.registry.store, Threads(1), take_new, tell)


def _about(components: Components) -> KubeObject:
    for kind, name in ((WORKER, components.worker), (NAMESPACE, "default")):
        try:
            found: KubeObject = kind.parse(components.registry.get(kind, kind.key(name)).object)
        except NotFound:
            continue
        return found
    raise NotFound("there is no namespace default")
