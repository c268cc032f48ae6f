"""A MetricAlarm says what state it is in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from services.metrics_manager.cloudwatch.alarm_book import AlarmBook
from services.metrics_manager.cloudwatch.alarm_evaluating import AlarmEvaluator
from services.metrics_manager.cloudwatch.alarm_kinds import METRIC_ALARM, MetricAlarm, arn_of
from services.metrics_manager.conditions import RuleReason
from services.sdk.reconcile import AlsoWatch, Outcome, World, done

_LOOK_AGAIN = 10.0


class AlarmReconciler:
    """Copies what the book has."""

    kind = METRIC_ALARM
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, book: AlarmBook, evaluator: AlarmEvaluator) -> None:
        self._book, self._evaluator = book, evaluator

    async def reconcile(self, resource: MetricAlarm, world: World) -> Outcome:
        state, status = self._book.state(resource), resource.status
        status.state, status.reason, status.arn = state.value, state.reason, arn_of(resource)
        status.since = datetime.fromtimestamp(int(state.since), UTC)
        status.error = self._evaluator.errors.get(resource.metadata.uid or "", "")[:1024]
        reason = RuleReason.FAILS if status.error else RuleReason.EVALUATED
        return done(status.error, reason=reason, requeue_after=_LOOK_AGAIN)

    async def finalize(self, resource: MetricAlarm, world: World) -> Outcome:
        return done()
