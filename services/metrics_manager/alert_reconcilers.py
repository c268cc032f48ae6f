"""AlertRules, AlertChannels and AlertSilences say how they stand. None of them is needed for that which they say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.metrics_manager.alert_kinds import (
    ALERT_CHANNEL,
    ALERT_RULE,
    ALERT_SILENCE,
    AlertChannel,
    AlertRule,
    AlertSilence,
)
from services.metrics_manager.alerts.book import AlertBook
from services.metrics_manager.alerts.evaluating import Evaluator, key_of
from services.metrics_manager.alerts.notifying import Notifier
from services.metrics_manager.conditions import (
    ChannelPhase,
    ChannelReason,
    RulePhase,
    RuleReason,
    SilencePhase,
    SilenceReason,
)
from services.sdk.reconcile import AlsoWatch, Outcome, World, done

_LOOK_AGAIN = 10.0


class RuleReconciler:
    """Counts its alerts."""

    kind = ALERT_RULE
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, evaluator: Evaluator, book: AlertBook) -> None:
        self._evaluator, self._book = evaluator, book

    async def reconcile(self, resource: AlertRule, world: World) -> Outcome:
        status, key, before = resource.status, key_of(resource), resource.status.phase
        alerts = list(self._book.of(key).values())
        status.error = self._evaluator.errors.get(key, "")[:1024]
        status.firing = sum(each.state == "firing" for each in alerts)
        status.pending = sum(each.state == "pending" for each in alerts)
        status.phase = _phase(resource)
        if status.phase != before:
            status.since = datetime.fromtimestamp(int(world.clock.now().timestamp()), UTC)
        reason = RuleReason.FAILS if status.error else RuleReason.EVALUATED
        if not resource.spec.enabled:
            return done(reason=RuleReason.NOT_EVALUATED)
        return done(status.error, reason=reason, requeue_after=_LOOK_AGAIN)

    async def finalize(self, resource: AlertRule, world: World) -> Outcome:
        return done()


def _phase(rule: AlertRule) -> RulePhase:
    if not rule.spec.enabled:
        return RulePhase.PAUSED
    if rule.status.error:
        return RulePhase.ERROR
    if rule.status.firing:
        return RulePhase.FIRING
    return RulePhase.PENDING if rule.status.pending else RulePhase.INACTIVE


class ChannelReconciler:
    """Says whether the last message was taken."""

    kind = ALERT_CHANNEL
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    async def reconcile(self, resource: AlertChannel, world: World) -> Outcome:
        status = resource.status
        at, status.error = self._notifier.outcomes.get(resource.metadata.uid or "", (0.0, ""))
        if at and resource.spec.type != "heartbeat":
            status.last_told_at = datetime.fromtimestamp(int(at), UTC)
        if not resource.spec.enabled:
            status.phase = ChannelPhase.PAUSED
            return done(reason=ChannelReason.PAUSED)
        status.phase = ChannelPhase.FAILING if status.error else ChannelPhase.ACTIVE
        reason = ChannelReason.NOT_TAKEN if status.error else ChannelReason.TELLS
        return done(status.error, reason=reason, requeue_after=_LOOK_AGAIN)

    async def finalize(self, resource: AlertChannel, world: World) -> Outcome:
        return done()


class SilenceReconciler:
    """Knows what time it is."""

    kind = ALERT_SILENCE
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    async def reconcile(self, resource: AlertSilence, world: World) -> Outcome:
        now, spec = world.clock.now(), resource.spec
        if now >= spec.ends_at:
            resource.status.phase = SilencePhase.EXPIRED
            return done(reason=SilenceReason.OVER)
        begins = spec.starts_at or now
        resource.status.phase = SilencePhase.ACTIVE if begins <= now else SilencePhase.PENDING
        until = spec.ends_at if begins <= now else begins
        wait = min(max((until - now).total_seconds(), 0.1), 86_400.0)
        return done(reason=SilenceReason.KNOWN, requeue_after=wait)

    async def finalize(self, resource: AlertSilence, world: World) -> Outcome:
        return done()
