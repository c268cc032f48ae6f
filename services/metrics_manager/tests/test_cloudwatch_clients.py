"""CloudWatch by the clients people have: boto3 as it is, and each protocol of the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.sdk.testing import ServiceHarness, serving


@pytest.fixture(scope="module")
def running() -> Iterator[ServiceHarness]:
    with serving("metrics_manager") as harness:
        yield harness


def asked(**more: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    times = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=1), "Period": 60}
    return {"Namespace": "Shop", "MetricName": "Orders", "Statistics": ["Sum"], **times, **more}


def total(client: Any, **more: Any) -> float:
    return float(sum(each["Sum"] for each in client.get_metric_statistics(**asked(**more))["Datapoints"]))


def test_boto3_sends_long_requests_packed(running: ServiceHarness) -> None:
    """More than 10 KiB are sent as gzip."""
    client = running.boto3_client("cloudwatch")
    shops = [[{"Name": "Shop", "Value": f"s{i % 7}"}] for i in range(400)]
    data = [{"MetricName": "Orders", "Value": 1.0, "Unit": "Count", "Dimensions": each} for each in shops]
    client.put_metric_data(Namespace="Shop", MetricData=data)
    dimensions = [{"Name": "Shop", "Value": "s3"}]
    assert total(client, Dimensions=dimensions) == 57.0
    pages = client.get_paginator("list_metrics").paginate(Namespace="Shop", MetricName="Orders")
    assert sum(len(page["Metrics"]) for page in pages) == 7
    with pytest.raises(ClientError) as refused:
        client.get_metric_statistics(**asked(Period=7))
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"


@pytest.mark.parametrize("protocol", ["query", "json", "smithy-rpc-v2-cbor"])
def test_every_protocol_is_spoken(running: ServiceHarness, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`query` is what Debian's `aws` sends, CBOR what SDKs of other languages do."""
    monkeypatch.setattr("botocore.args.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", [protocol])
    monkeypatch.setattr("botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", [protocol])
    client = running.boto3_client("cloudwatch")
    assert client.meta.service_model.resolved_protocol == protocol
    name = f"By-{protocol}"
    client.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": name, "Values": [2.5], "Counts": [2]}])
    assert total(client, MetricName=name) == 5.0
    query = {
        "Id": "m",
        "MetricStat": {"Metric": {"Namespace": "Shop", "MetricName": name}, "Period": 60, "Stat": "p50"},
    }
    times = {name: each for name, each in asked().items() if name in ("StartTime", "EndTime")}
    found = client.get_metric_data(MetricDataQueries=[query], **times)["MetricDataResults"][0]
    assert found["Values"] == [2.5] and found["Timestamps"][0].second == 0


def test_an_alarm_reaches_a_real_queue_by_a_real_topic() -> None:
    with serving("queue_manager") as queues, serving("metrics_manager", peer=queues.peer_client) as harness:
        sns, sqs, cloudwatch = (
            queues.boto3_client("sns"), queues.boto3_client("sqs"), harness.boto3_client("cloudwatch")
        )  # fmt: skip
        topic = sns.create_topic(Name="ops")["TopicArn"]
        queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        cloudwatch.put_metric_alarm(
            AlarmName="slow", Namespace="Shop", MetricName="Orders", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=1.0, ComparisonOperator="LessThanThreshold", AlarmActions=[topic], TreatMissingData="ignore",
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName="slow", StateValue="ALARM", StateReason="by hand")
        (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
        told = json.loads(json.loads(message["Body"])["Message"])
        assert (told["AlarmName"], told["NewStateReason"]) == ("slow", "by hand")
