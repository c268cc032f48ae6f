"""ScrapeTargets say how their scrapes go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.metrics_manager.conditions import TargetPhase, TargetReason
from services.metrics_manager.kinds import SCRAPE_TARGET, ScrapeTarget
from services.metrics_manager.scrape_loop import ScrapeLoop
from services.sdk.reconcile import AlsoWatch, Outcome, World, done

_LOOK_AGAIN = 15.0


class TargetReconciler:
    """Writes only what changed: a scrape is no write. The count of samples moves when it moved by a tenth."""

    kind = SCRAPE_TARGET
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, loop: ScrapeLoop) -> None:
        self._loop = loop

    async def reconcile(self, resource: ScrapeTarget, world: World) -> Outcome:
        status, before = resource.status, resource.status.phase
        if not resource.spec.enabled:
            status.phase, status.samples, status.error = TargetPhase.PAUSED, 0, ""
            return done(reason=TargetReason.NOT_SCRAPED)
        seen = [each.seen for each in self._loop.of(resource.metadata.uid or "") if each.seen.at]
        status.error = next((each.error for each in seen if each.error), "")
        if not seen:
            status.phase = TargetPhase.UNKNOWN
        else:
            status.phase = TargetPhase.DOWN if status.error else TargetPhase.UP
        samples = sum(each.samples for each in seen)
        if abs(samples - status.samples) > status.samples / 10:
            status.samples = samples
        if status.phase != before:
            status.since = datetime.fromtimestamp(int(world.clock.now().timestamp()), UTC)
        wait = min(_LOOK_AGAIN, resource.spec.interval_seconds) if seen else 2.0
        reason = TargetReason.SCRAPE_FAILED if status.error else TargetReason.SCRAPED
        return done(status.error, reason=reason, requeue_after=wait)

    async def finalize(self, resource: ScrapeTarget, world: World) -> Outcome:
        return done()
