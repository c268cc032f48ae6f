"""Waking of services that run on demand: a change of a resource of their kinds is theirs to see to."""

from __future__ import annotations

import structlog

from controller.main.components import Components
from controller.store.records import Compacted

log = structlog.get_logger("conductor")


async def wake_owners(components: Components) -> None:
    """Note each change as a use of the managed service whose kind it is, until cancelled."""
    owners = {(kind.group, kind.plural): each.service_name for each in components.services for kind in each.kinds}
    store = components.registry.store
    while True:
        try:
            async with store.follow("", "*", after=store.revision) as follower:
                async for batch in follower:
                    for owner in {owners.get(each.record.key[:2], "") for each in batch} - {""}:
                        components.activations.note_use(owner)
        except Compacted:
            log.info("changes that were missed wake nobody; the next ones do")
