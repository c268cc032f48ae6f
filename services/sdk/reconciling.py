"""The loop of a managed service: runs its reconcilers beside its server, and starts again when it fails."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controller.reconcile.reconciler import Reconciler
    from services.sdk.context import ServiceContext
    from services.sdk.metrics import ServiceMetrics

log = logging.getLogger(__name__)
RESTART_SECONDS = 2.0


async def reconcile_forever(
    context: ServiceContext, reconcilers: Sequence[Reconciler[Any]], metrics: ServiceMetrics
) -> None:
    """Until cancelled. The server goes on meanwhile, whatever happens here."""
    from controller.reconcile.loop import Loop  # what has no reconcilers need not wait for it

    rng = random.Random()  # noqa: S311 - only spreads retries
    while True:
        try:
            loop = Loop(
                context.resources,
                context.clock,
                reconcilers,
                rng,
                component=context.service_name,
                shared=context.informers,
            )
            metrics.watch_loop(loop)
            await loop.run()
        except Exception:
            log.exception("the loop failed; it starts again in %d s", RESTART_SECONDS)
        await asyncio.sleep(RESTART_SECONDS)
