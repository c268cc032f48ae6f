"""CloudWatch's alarms: the tables of AWS's guide, and what topics are told, in virtual time."""

from __future__ import annotations

import json
import math
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from crds.errors import ApiError
from crds.invariants import Transition
from services.metrics_manager.cloudwatch.alarm_kinds import METRIC_ALARM, MetricAlarmSpec, keeps_the_alarm_s_name
from services.metrics_manager.cloudwatch.alarm_states import Number, judge
from services.metrics_manager.tests.in_memory import metrics
from services.metrics_manager.tests.test_cloudwatch import CloudWatch
from services.sdk.testing import User, virtual_time

TOPIC = "arn:aws:sns:us-east-1:000000000000:ops"
METRIC = {"namespace": "Web", "name": "Latency", "statistic": "Average"}
ALARM: dict[str, Any] = {
    "AlarmName": "slow pages",
    "Namespace": "Web",
    "MetricName": "Latency",
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 2.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "AlarmActions": [TOPIC],
    "OKActions": [TOPIC],
}


def spec(**more: Any) -> MetricAlarmSpec:
    said = {"metric": METRIC, "periodSeconds": 60, "evaluationPeriods": 3, "threshold": 1.0, **more}
    return MetricAlarmSpec.model_validate({"comparison": "GreaterThanThreshold", **said})


# Source: Amazon CloudWatch User Guide, "How alarm state is evaluated when data is missing". X is beyond the
# threshold, 0 is not, - is missing. The states for missing, ignore (=: as it was), breaching and notBreaching.
OF_THREE = [
    ("0-X-X", "OK OK OK OK"),
    ("----0", "OK OK OK OK"),
    ("-----", "INSUFFICIENT_DATA = ALARM OK"),
    ("0XX-X", "ALARM ALARM ALARM ALARM"),
    ("--X--", "ALARM = ALARM OK"),
]
TWO_OF_THREE = [
    ("0-X-X", "ALARM ALARM ALARM ALARM"),
    ("00X0X", "ALARM ALARM ALARM ALARM"),
    ("0-X--", "OK OK ALARM OK"),
    ("----0", "OK OK ALARM OK"),
    ("---X-", "ALARM = ALARM OK"),
]


@pytest.mark.parametrize(
    ("row", "states", "least"), [(*each, 3) for each in OF_THREE] + [(*each, 2) for each in TWO_OF_THREE]
)
def test_missing_data_is_treated_as_the_guide_says(row: str, states: str, least: int) -> None:
    values = [{"0": 0.0, "X": 5.0, "-": math.nan}[each] for each in row]
    numbers = [Number(i * 60_000, each) for i, each in enumerate(values)]
    for treated, expected in zip(("missing", "ignore", "breaching", "notBreaching"), states.split(), strict=True):
        wanted = spec(datapointsToAlarm=least, treatMissingData=treated)
        assert judge(wanted, numbers, "as it was", 0.0).state == expected.replace("=", "as it was"), treated


def test_reasons_are_in_aws_s_words() -> None:
    one = spec(evaluationPeriods=1, threshold=2.0, treatMissingData="notBreaching")
    hot = judge(one, [Number(1_698_338_520_000, 21.5)], "OK", 0.0)
    assert (
        hot.reason
        == "Threshold Crossed: 1 datapoint [21.5 (26/10/23 16:42:00)] was greater than the threshold (2.0)."
    )
    assert hot.data["recentDatapoints"] == [21.5] and hot.data["startDate"] == "2023-10-26T16:42:00.000+0000"
    gone = judge(one, [Number(0, math.nan)], "ALARM", 0.0).reason
    words = "no datapoints were received for 1 period and 1 missing datapoint was treated as [NonBreaching]."
    assert gone == f"Threshold Crossed: {words}"
    two = judge(spec(datapointsToAlarm=2), [Number(0, 5.0), Number(60_000, 0.0), Number(120_000, 6.0)], "OK", 0.0)
    assert two.reason == (
        "Threshold Crossed: 2 out of the last 3 datapoints [6.0 (01/01/70 00:02:00), 5.0 (01/01/70 00:00:00)] were "
        "greater than the threshold (1.0) (minimum 2 datapoints for OK -> ALARM transition)."
    )


def test_what_is_said_of_very_many_periods_is_short() -> None:
    wanted = spec(periodSeconds=10, evaluationPeriods=1_440, datapointsToAlarm=1)
    hot = judge(wanted, [Number(i * 10_000, 1.0 / 3 + i) for i in range(1_442)], "OK", 0.0)
    assert hot.state == "ALARM" and len(hot.reason) <= 1_023 and "[1441.333" in hot.reason
    assert len(json.dumps(hot.data)) <= 4_000 and hot.data["recentDatapoints"][-1] == 1_441 + 1.0 / 3


@virtual_time
async def test_what_waits_for_a_topic_and_what_became_of_an_alarm_have_bounds() -> None:
    async with metrics() as service:
        cloud = CloudWatch(service)
        await cloud.call("PutMetricAlarm", **ALARM, TreatMissingData="ignore")
        service.outside.topic_status = 503
        data = json.dumps({"why": "x" * 3_000})
        for i in range(60):
            state = ("ALARM", "OK")[i % 2]
            said = {"StateValue": state, "StateReason": f"{i}" + "r" * 1_000, "StateReasonData": data}
            await cloud.call("SetAlarmState", AlarmName="slow pages", **said)
        service.outside.topic_status = 200
        await service.advance(120)
        texts = [json.loads(each["Message"])["NewStateReason"] for each in service.outside.published]
        assert len(texts) == 20 and texts[-1].startswith("59r")
        history = (await cloud.call("DescribeAlarmHistory", AlarmName="slow pages"))["AlarmHistoryItems"]
        assert sum(len(each["HistoryData"]) for each in history) < 150_000
        assert any(each["HistorySummary"].startswith("Failed to execute") for each in history)


@virtual_time
async def test_an_alarm_goes_off_is_told_once_and_ends() -> None:
    async with metrics() as service:
        cloud, topics = CloudWatch(service), service.outside
        await cloud.call("PutMetricAlarm", **ALARM, AlarmDescription="too slow", TreatMissingData="notBreaching")
        (found,) = (await cloud.call("DescribeAlarms"))["MetricAlarms"]
        assert (found["StateValue"], found["StateReason"]) == (
            "INSUFFICIENT_DATA",
            "Unchecked: Initial alarm creation",
        )
        assert found["AlarmArn"] == "arn:aws:cloudwatch:us-east-1:000000000000:alarm:slow pages"
        await cloud.put({"MetricName": "Latency", "Value": 9.0})
        topics.topic_status = 503
        await service.advance(65)
        assert not topics.published
        topics.topic_status = 200
        await service.advance(40)
        calm, told = topics.published
        assert json.loads(calm["Message"])["NewStateValue"] == "OK"
        assert told["TopicArn"] == TOPIC and told["Subject"] == 'ALARM: "slow pages" in us-east-1'
        message = json.loads(told["Message"])
        assert message["NewStateValue"] == "ALARM" and message["OldStateValue"] == "OK"
        assert message["Trigger"]["Statistic"] == "AVERAGE" and message["AlarmDescription"] == "too slow"
        await service.advance(300)
        assert [json.loads(each["Message"])["NewStateValue"] for each in topics.published] == ["OK", "ALARM", "OK"]
        history = (await cloud.call("DescribeAlarmHistory", AlarmName="slow pages"))["AlarmHistoryItems"]
        assert [each["HistoryItemType"] for each in reversed(history)] == [
            *("ConfigurationUpdate", "StateUpdate", "StateUpdate", "Action"), *("Action", "StateUpdate", "Action")
        ]  # fmt: skip
        record = await service.service.resources.list(METRIC_ALARM, "default")
        assert record.items[0].status.state == "OK" and record.items[0].spec.alarm_name == "slow pages"


@virtual_time
async def test_states_and_messages_outlive_the_process() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with metrics(Path(folder)) as service:
            cloud, resources = CloudWatch(service), service.service.resources
            await cloud.call("PutMetricAlarm", **ALARM, TreatMissingData="ignore")
            service.outside.topic_status = 500
            await cloud.call("SetAlarmState", AlarmName="slow pages", StateValue="ALARM", StateReason="by hand")
            await service.advance(3)
        async with metrics(Path(folder), resources) as service:
            cloud = CloudWatch(service)
            await service.advance(5)
            (told,) = service.outside.published
            assert json.loads(told["Message"])["NewStateReason"] == "by hand"
            await service.advance(60)
            assert len(service.outside.published) == 1
            await cloud.call("DeleteAlarms", AlarmNames=["slow pages", "another"])
            assert (await cloud.call("DescribeAlarms"))["MetricAlarms"] == []


@virtual_time
async def test_expressions_actions_and_tags() -> None:
    async with metrics() as service:
        cloud = CloudWatch(service)
        stat = {"Metric": {"Namespace": "Web", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}
        queries = [
            {"Id": "m1", "MetricStat": stat, "ReturnData": False},
            {"Id": "e1", "Expression": "FILL(m1, 0) * 2", "ReturnData": True},
        ]
        plain = {name: ALARM[name] for name in ("AlarmName", "EvaluationPeriods", "Threshold", "ComparisonOperator")}
        tags = [{"Key": "team", "Value": "shop"}]
        await cloud.call("PutMetricAlarm", **plain, Metrics=queries, AlarmActions=[TOPIC], Tags=tags)
        await cloud.call("DisableAlarmActions", AlarmNames=["slow pages"])
        await cloud.put({"MetricName": "Errors", "Value": 3.0})
        await service.advance(75)
        (found,) = (await cloud.call("DescribeAlarms", StateValue="ALARM"))["MetricAlarms"]
        assert found["ActionsEnabled"] is False and not service.outside.published
        assert [each["Id"] for each in found["Metrics"]] == ["m1", "e1"]
        of_metric = await cloud.call("DescribeAlarmsForMetric", Namespace="Web", MetricName="Errors")
        assert [each["AlarmName"] for each in of_metric["MetricAlarms"]] == ["slow pages"]
        arn = found["AlarmArn"]
        await cloud.call("TagResource", ResourceARN=arn, Tags=[{"Key": "a", "Value": "b"}])
        await cloud.call("UntagResource", ResourceARN=arn, TagKeys=["team"])
        assert (await cloud.call("ListTagsForResource", ResourceARN=arn))["Tags"] == [{"Key": "a", "Value": "b"}]
        stranger = CloudWatch(service, User("eve", namespace="other"))
        assert (await stranger.call("DescribeAlarms"))["MetricAlarms"] == []


@virtual_time
async def test_alarms_that_cannot_be_are_refused_in_words() -> None:
    async with metrics() as service:
        cloud = CloudWatch(service)

        async def refused(**more: Any) -> str:
            said = {name: value for name, value in {**ALARM, **more}.items() if value is not None}
            return (await cloud.refused("PutMetricAlarm", **said))[1]

        assert "no ARN of a topic" in await refused(AlarmActions=["arn:aws:automate:us-east-1:ec2:stop"])
        assert "own account and region" in await refused(AlarmActions=[TOPIC.replace("000000000000", "1" * 12)])
        assert "own account and region" in await refused(OKActions=[TOPIC.replace("us-east-1", "eu-west-1")])
        assert "p99.9" in await refused(Statistic=None, ExtendedStatistic="tm90")
        assert "periodSeconds" in await refused(Period=45)
        assert "at most evaluationPeriods" in await refused(DatapointsToAlarm=2)
        assert "Threshold is required" in await refused(Threshold=None)
        assert "threshold" in await refused(Threshold="NaN")
        assert "EvaluateLowSampleCountPercentile" in await refused(EvaluateLowSampleCountPercentile="ignore")
        assert (await cloud.ask("SetAlarmState", AlarmName="x", StateValue="OK", StateReason="r"))[0] == 404


def test_an_alarm_borrows_the_right_to_publish() -> None:
    """Whoever may not use a topic has no alarm do it."""
    assert METRIC_ALARM.lends is not None
    lent = METRIC_ALARM.lends(
        {"alarmActions": [TOPIC, TOPIC], "okActions": [f"{TOPIC}2"], "insufficientDataActions": 7}
    )
    assert [(each.verb, each.plural, each.name) for each in lent] == [
        ("use", "topics", "ops"),
        ("use", "topics", "ops2"),
    ]


def test_an_alarm_keeps_its_name_and_its_account() -> None:
    def written(name: str, **more: Any) -> Transition:
        body = {"metadata": {"name": name}, "spec": spec(**more).wire()}
        key, now = METRIC_ALARM.key(name, "default"), datetime(2026, 11, 30, tzinfo=UTC)
        return Transition(METRIC_ALARM, key, "create", None, body, "ann", now, cast(Any, None))

    keeps_the_alarm_s_name.check(written("slow-pages-c7e1301f8dc1", alarmName="slow pages", alarmActions=[TOPIC]))
    for wrong in (
        written("another", alarmName="slow pages"),
        written("slow", alarmActions=[TOPIC.replace("000000000000", "1" * 12)]),
        written("slow", okActions=[TOPIC.replace("us-east-1", "eu-west-1")]),
    ):
        with pytest.raises(ApiError):
            keeps_the_alarm_s_name.check(wrong)
