"""Holds alarms against their thresholds, and has topics told of the states they come into."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from services.metrics_manager.alerts.by_age import oldest_first
from services.metrics_manager.cloudwatch.alarm_actions import message_of, topics_for
from services.metrics_manager.cloudwatch.alarm_book import AlarmBook
from services.metrics_manager.cloudwatch.alarm_kinds import METRIC_ALARM, AlarmMetric, AlarmQuery, MetricAlarm
from services.metrics_manager.cloudwatch.alarm_states import MORE, Number, Verdict, judge
from services.metrics_manager.cloudwatch.names import Metric
from services.metrics_manager.cloudwatch.querying import Computing, Query, Span
from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.queries import Queries
from services.sdk.aws.errors import AwsError
from services.sdk.aws.resource_names import DEFAULT_REGION
from services.sdk.context import ServiceContext

if TYPE_CHECKING:
    from services.metrics_manager.store.sample_store import StoreReader

log = logging.getLogger(__name__)
TICK, MINUTE = 5.0, 60
MOST_ALARMS, SECONDS_OF_NAMESPACE = 200, 5.0
"""Alarms of a namespace; so long all of them may take in a round. Those that are left are the first in the next."""
MOST_READ, MOST_SECONDS = 5_000_000, 1.0
_RETURNED = "alarm"


class AlarmEvaluator:
    """`errors`: by uid, why an alarm cannot be computed."""

    def __init__(self, context: ServiceContext, queries: Queries, book: AlarmBook) -> None:
        self._clock, self._queries, self._book = context.clock, queries, book
        self.alarms = context.informer(METRIC_ALARM)
        self._looked: dict[str, int] = {}
        self.errors: dict[str, str] = {}

    async def run(self) -> None:
        """Until the end."""
        await self.alarms.synced.wait()
        while True:
            try:
                await self.evaluate()
            except sqlite3.Error as error:
                log.warning("states of alarms cannot be written", extra={"fields": {"because": str(error)}})
            except Exception:
                log.exception("alarms could not be computed")
            await asyncio.sleep(TICK)

    async def evaluate(self) -> None:
        """What is due. Raises sqlite3.Error."""
        by_namespace: dict[str, list[MetricAlarm]] = {}
        for each in oldest_first(self.alarms.all()):
            by_namespace.setdefault(each.metadata.namespace or "", []).append(each)
        for alarms in by_namespace.values():
            for each in alarms[MOST_ALARMS:]:
                self.errors[each.metadata.uid or ""] = f"its namespace has more than {MOST_ALARMS} alarms"
            await self._evaluate_some(alarms[:MOST_ALARMS])
        await self._forget()

    async def _evaluate_some(self, alarms: Sequence[MetricAlarm]) -> None:
        """Those whose turn it is longest, as long as there is time."""
        until = monotonic() + SECONDS_OF_NAMESPACE
        for each in sorted(alarms, key=lambda alarm: self._looked.get(alarm.metadata.uid or "", 0)):
            if monotonic() > until:
                return
            await self._evaluate_if_due(each)

    async def _evaluate_if_due(self, alarm: MetricAlarm) -> None:
        uid, now = alarm.metadata.uid or "", self._clock.now().timestamp()
        await self._book.note_spec(alarm, now)
        step = min(alarm.spec.period_seconds, MINUTE)
        end = int(now) // step * step
        if self._looked.get(uid) == end:
            return
        self._looked[uid] = end
        try:
            numbers = await self._queries.read(lambda reader: _numbers(reader, alarm, end))
        except (AwsError, QueryError) as fault:
            self.errors[uid] = str(fault)
            return
        except Exception:  # others are judged all the same
            log.exception("an alarm could not be computed")
            self.errors[uid] = "it cannot be computed; the log of metrics-manager tells more"
            return
        self.errors.pop(uid, None)
        state = self._book.state(alarm)
        verdict = judge(alarm.spec, numbers, state.value, now)
        if verdict.state != state.value:
            await self.move(alarm, verdict, now)

    async def move(self, alarm: MetricAlarm, verdict: Verdict, now: float) -> None:
        """It is in that state from now on, and its topics are to be told. Raises sqlite3.Error."""
        before = self._book.state(alarm)
        is_told = alarm.spec.actions_enabled and verdict.state != before.value
        messages = [message_of(alarm, before, verdict, topic, now) for topic in topics_for(alarm, verdict.state)]
        await self._book.set(alarm, verdict, messages if is_told else [], now)

    async def _forget(self) -> None:
        known = {each.metadata.uid or "" for each in self.alarms.all()}
        for uid in [each for each in self._book.uids() if each not in known]:
            await self._book.forget(uid)
        self._looked = {uid: each for uid, each in self._looked.items() if uid in known}
        self.errors = {uid: each for uid, each in self.errors.items() if uid in known}


def _numbers(reader: StoreReader, alarm: MetricAlarm, end: int) -> list[Number]:
    """Of the last periods, the oldest first. Raises AwsError, QueryError."""
    from services.metrics_manager.cloudwatch.statistics import Budget

    spec, queries = alarm.spec, queries_of(alarm)
    start = end - spec.period_seconds * (spec.evaluation_periods + MORE)
    computing = Computing(reader, queries, Span(start * 1000, end * 1000), Budget(MOST_READ), MOST_SECONDS)
    found = computing.result(next(each.id for each in queries if each.returns))
    times = found.grid.times()
    return [Number(int(time), float(value)) for time, value in zip(times, found.values, strict=True)]


def queries_of(alarm: MetricAlarm) -> list[Query]:
    """What its numbers are computed of."""
    spec = alarm.spec
    if spec.metric is not None:
        return [_query(alarm, AlarmQuery(id=_RETURNED, metric=spec.metric, returns_data=True))]
    return [_query(alarm, each) for each in spec.queries]


def _query(alarm: MetricAlarm, said: AlarmQuery) -> Query:
    period = alarm.spec.period_seconds
    if said.metric is None:
        return Query(said.id, said.label, said.returns_data, period=period, expression=said.expression)
    metric, own = metric_of_alarm(alarm, said.metric), said.metric
    return Query(said.id, said.label, said.returns_data, metric, own.statistic, own.unit, period)


def metric_of_alarm(alarm: MetricAlarm, said: AlarmMetric) -> Metric:
    owner, region = alarm.metadata.namespace or "", alarm.spec.region or DEFAULT_REGION
    return Metric(owner, region, said.namespace, said.name, tuple(sorted(said.dimensions.items())))
