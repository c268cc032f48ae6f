"""What topics are told of alarms, and the way there: as CloudWatch, in this service's own name.

A message is durable with the state it tells of, and is sent until the topic took it, or says that it never will. Told
twice is possible where this process is killed within a moment. Of a topic that is away the newest messages wait
(`alarm_book.MOST_PENDING`).
Source: Amazon SNS API reference, Publish; the messages are those of AWS.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from crds.errors import ApiError
from services.metrics_manager.cloudwatch.alarm_book import AlarmBook, AlarmState
from services.metrics_manager.cloudwatch.alarm_kinds import METRIC_ALARM, MetricAlarm, alarm_name, arn_of
from services.metrics_manager.cloudwatch.alarm_states import ALARM, OK, Verdict, date_text
from services.sdk.aws.accounts import account_of
from services.sdk.aws.resource_names import DEFAULT_REGION
from services.sdk.aws.rest_xml import parse
from services.sdk.aws.service_callers import REGION, SOURCE_ARN
from services.sdk.clients.service_client import ServiceClient
from services.sdk.context import ServiceContext

log = logging.getLogger(__name__)
Json = dict[str, Any]
TICK = 1.0
LONGEST_SUBJECT = 100
_FIRST_RETRY, _LAST_RETRY = 2.0, 60.0
_FORM = "application/x-www-form-urlencoded"


def topics_for(alarm: MetricAlarm, state: str) -> Sequence[str]:
    """Which are told that it came into that state."""
    spec = alarm.spec
    if state == ALARM:
        return spec.alarm_actions
    return spec.ok_actions if state == OK else spec.insufficient_data_actions


def message_of(alarm: MetricAlarm, before: AlarmState, verdict: Verdict, topic: str, now: float) -> Json:
    """What that topic is told: `topic`, `subject` and `text`."""
    region, name = alarm.spec.region or DEFAULT_REGION, alarm_name(alarm)
    told = {
        "AlarmName": name,
        "AlarmDescription": alarm.spec.description or None,
        "AWSAccountId": account_of(alarm.metadata.namespace or ""),
        "AlarmConfigurationUpdatedTimestamp": date_text(before.configured),
        "NewStateValue": verdict.state,
        "NewStateReason": verdict.reason,
        "StateChangeTime": date_text(now),
        "Region": region,
        "AlarmArn": arn_of(alarm),
        "OldStateValue": before.value,
        "OKActions": alarm.spec.ok_actions,
        "AlarmActions": alarm.spec.alarm_actions,
        "InsufficientDataActions": alarm.spec.insufficient_data_actions,
        "Trigger": _trigger(alarm),
    }
    plain = "".join(each if each.isprintable() else "?" for each in f'{verdict.state}: "{name}" in {region}')
    return {"topic": topic, "subject": plain[:LONGEST_SUBJECT], "text": orjson.dumps(told).decode(), "at": now}


def _trigger(alarm: MetricAlarm) -> Json:
    spec = alarm.spec
    found: Json = {
        "Period": spec.period_seconds,
        "EvaluationPeriods": spec.evaluation_periods,
        **({"DatapointsToAlarm": spec.datapoints_to_alarm} if spec.datapoints_to_alarm else {}),
        "ComparisonOperator": spec.comparison,
        "Threshold": spec.threshold,
        "TreatMissingData": spec.treat_missing_data,
        "EvaluateLowSampleCountPercentile": "",
    }
    if spec.metric is None:
        metrics = [{"Id": each.id, "Expression": each.expression, "ReturnData": each.returns_data}
                   for each in spec.queries if each.expression]  # fmt: skip
        return {**found, "Metrics": metrics}
    metric = spec.metric
    return {
        "MetricName": metric.name,
        "Namespace": metric.namespace,
        "StatisticType": "ExtendedStatistic" if metric.is_extended else "Statistic",
        "Statistic": metric.statistic if metric.is_extended else metric.statistic.upper(),
        "Unit": metric.unit or None,
        "Dimensions": [{"value": value, "name": name} for name, value in sorted(metric.dimensions.items())],
        **found,
    }


class AlarmActions:
    """`client`: of the service that has topics."""

    def __init__(self, context: ServiceContext, book: AlarmBook, client: ServiceClient) -> None:
        self._clock, self._book, self._client = context.clock, book, client
        self._alarms = context.informer(METRIC_ALARM)
        self._waits: dict[str, tuple[float, float]] = {}

    async def run(self) -> None:
        """Until the end."""
        while True:
            await asyncio.sleep(TICK)
            for alarm in self._alarms.all():
                try:
                    await self._tell(alarm)
                except sqlite3.Error as error:
                    log.warning("what was told cannot be written", extra={"fields": {"because": str(error)}})
                except Exception:  # others have theirs to tell
                    log.exception("the topics of an alarm could not be told")

    async def _tell(self, alarm: MetricAlarm) -> None:
        """Its messages, in their order; one that is not taken has the later ones wait. Raises sqlite3.Error."""
        uid, now = alarm.metadata.uid or "", self._clock.monotonic()
        if self._waits.get(uid, (0.0, 0.0))[0] > now:
            return
        for message in self._book.state(alarm).pending:
            is_lasting, why_not = await self._publish(alarm, message)
            if why_not and not is_lasting:
                wait = min(self._waits.get(uid, (0.0, _FIRST_RETRY / 2))[1] * 2, _LAST_RETRY)
                self._waits[uid] = (now + wait, wait)
                return
            self._waits.pop(uid, None)
            await self._book.told(alarm, message, why_not, self._clock.now().timestamp())

    async def _publish(self, alarm: MetricAlarm, message: Json) -> tuple[bool, str]:
        """Whether it will never be taken, and why it was not; no reason where it was."""
        form = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": message["topic"]}
        form |= {"Subject": message["subject"], "Message": message["text"]}
        headers = {
            "content-type": _FORM,
            REGION: alarm.spec.region or DEFAULT_REGION,
            SOURCE_ARN: arn_of(alarm) if arn_of(alarm).isascii() else "",
        }
        namespace = alarm.metadata.namespace or ""
        try:
            answer = await self._client.request(
                "POST",
                "/sns",
                namespace=namespace,
                headers=headers,
                content=urlencode(form).encode(),
                idempotent=True,
            )
        except ApiError as away:
            return False, away.message
        if answer.status_code < 300:
            return False, ""
        return answer.status_code < 500 and answer.status_code != 429, _words(answer.content)


def _words(document: bytes) -> str:
    try:
        found = {each.tag.rpartition("}")[2]: each.text or "" for each in parse(document).iter()}
    except ValueError:
        return "it does not answer as topics do"
    return f"{found.get('Code', '')}: {found.get('Message', '')}"
