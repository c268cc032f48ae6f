"""Alarms as CloudWatch shows them, and the specs that requests ask for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from services.metrics_manager.cloudwatch import errors
from services.metrics_manager.cloudwatch.alarm_book import AlarmState
from services.metrics_manager.cloudwatch.alarm_kinds import (
    AlarmMetric,
    AlarmQuery,
    MetricAlarm,
    MetricAlarmSpec,
    alarm_name,
    arn_of,
)
from services.metrics_manager.cloudwatch.querying import Query, read_queries, require_statistic
from services.sdk.aws.operations import RequestContext

Json = dict[str, Any]
OF_METRIC = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit")


def spec_from(call: RequestContext, request: Json, tags: dict[str, str] | None) -> MetricAlarmSpec:
    """What is not said is as if it had never been. Raises AwsError."""
    queries = request.get("Metrics") or []
    if queries and (named := next((each for each in OF_METRIC if request.get(each)), "")):
        raise errors.combination(f"The parameters Metrics and {named} are mutually exclusive.")
    for name in ("EvaluationPeriods", "ComparisonOperator", "Threshold"):
        if request.get(name) is None:
            raise errors.missing(f"The parameter {name} is required.")
    wanted: Json = {
        "alarmName": request["AlarmName"],
        "region": call.region,
        "description": request.get("AlarmDescription") or "",
        "evaluationPeriods": request["EvaluationPeriods"],
        "datapointsToAlarm": request.get("DatapointsToAlarm"),
        "threshold": request["Threshold"],
        "comparison": request["ComparisonOperator"],
        "treatMissingData": request.get("TreatMissingData") or "missing",
        "actionsEnabled": request.get("ActionsEnabled", True),
        "okActions": request.get("OKActions") or [],
        "alarmActions": request.get("AlarmActions") or [],
        "insufficientDataActions": request.get("InsufficientDataActions") or [],
        "tags": tags,
        **(_of_queries(call, queries) if queries else _of_metric(request)),
    }
    try:
        return MetricAlarmSpec.model_validate(wanted, by_alias=True, by_name=False)
    except ValidationError as faults:
        first = faults.errors()[0]
        place = ".".join(str(each) for each in first["loc"])
        raise errors.validation(f"{place}: {first['msg'].removeprefix('Value error, ')}".lstrip(": ")) from None


def _of_metric(request: Json) -> Json:
    """Raises AwsError."""
    for name in ("MetricName", "Namespace", "Period"):
        if not request.get(name):
            raise errors.missing(f"The parameter {name} is required.")
    plain, extended = request.get("Statistic") or "", request.get("ExtendedStatistic") or ""
    if bool(plain) == bool(extended):
        raise errors.combination("Exactly one of the parameters Statistic and ExtendedStatistic must be specified.")
    require_statistic(plain or extended, "Statistic" if plain else "ExtendedStatistic")
    metric = {
        "namespace": request["Namespace"],
        "name": request["MetricName"],
        "dimensions": {each["Name"]: each["Value"] for each in request.get("Dimensions") or ()},
        "statistic": plain or extended,
        "unit": request.get("Unit") or "",
    }
    return {"metric": metric, "periodSeconds": request["Period"]}


def _of_queries(call: RequestContext, said: list[Json]) -> Json:
    """Raises AwsError."""
    found = read_queries(said, call.namespace, call.region, call.account)
    periods = sorted({each.period for each in found if each.period})
    if len(periods) != 1:
        raise errors.validation("Metrics: all of them have one Period here, and one of them says it.")
    return {"queries": [_query(each) for each in found], "periodSeconds": periods[0]}


def _query(query: Query) -> Json:
    found: Json = {"id": query.id, "label": query.label, "returnsData": query.returns, "expression": query.expression}
    if query.metric is not None:
        metric = query.metric
        found["metric"] = {
            "namespace": metric.group,
            "name": metric.name,
            "dimensions": dict(metric.dimensions),
            "statistic": query.statistic,
            "unit": query.unit,
        }
    return found


def described(alarm: MetricAlarm, state: AlarmState) -> Json:
    """One of `MetricAlarms`."""
    spec = alarm.spec
    found: Json = {
        "AlarmName": alarm_name(alarm),
        "AlarmArn": arn_of(alarm),
        "AlarmConfigurationUpdatedTimestamp": at(state.configured),
        "ActionsEnabled": spec.actions_enabled,
        "OKActions": spec.ok_actions,
        "AlarmActions": spec.alarm_actions,
        "InsufficientDataActions": spec.insufficient_data_actions,
        "StateValue": state.value,
        "StateReason": state.reason,
        "StateUpdatedTimestamp": at(state.updated),
        "StateTransitionedTimestamp": at(state.since),
        "EvaluationPeriods": spec.evaluation_periods,
        "Threshold": spec.threshold,
        "ComparisonOperator": spec.comparison,
    }
    said = {
        "AlarmDescription": spec.description,
        "StateReasonData": state.data,
        "DatapointsToAlarm": spec.datapoints_to_alarm,
        "TreatMissingData": "" if spec.treat_missing_data == "missing" else spec.treat_missing_data,
    }
    found |= {name: value for name, value in said.items() if value}
    if spec.metric is None:
        return found | {"Metrics": [_shown_query(each, spec.period_seconds) for each in spec.queries]}
    return found | _shown_metric(spec.metric, spec.period_seconds)


def _shown_metric(metric: AlarmMetric, period: int) -> Json:
    statistic = "ExtendedStatistic" if metric.is_extended else "Statistic"
    return {
        "MetricName": metric.name,
        "Namespace": metric.namespace,
        statistic: metric.statistic,
        "Dimensions": _dimensions(metric),
        "Period": period,
        **({"Unit": metric.unit} if metric.unit else {}),
    }


def _shown_query(query: AlarmQuery, period: int) -> Json:
    found: Json = {
        "Id": query.id,
        "ReturnData": query.returns_data,
        **({"Label": query.label} if query.label else {}),
    }
    if query.metric is None:
        return {**found, "Expression": query.expression, "Period": period}
    metric = query.metric
    said = {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": _dimensions(metric)}
    stat = {"Metric": said, "Period": period, "Stat": metric.statistic}
    return {**found, "MetricStat": {**stat, **({"Unit": metric.unit} if metric.unit else {})}}


def _dimensions(metric: AlarmMetric) -> list[Json]:
    return [{"Name": name, "Value": value} for name, value in sorted(metric.dimensions.items())]


def history_items(alarm: MetricAlarm, state: AlarmState) -> list[Json]:
    """What became of it, the newest first."""
    return [
        {
            "AlarmName": alarm_name(alarm),
            "AlarmType": "MetricAlarm",
            "Timestamp": at(each["at"]),
            "HistoryItemType": each["kind"],
            "HistorySummary": each["summary"],
            "HistoryData": each["data"],
        }
        for each in reversed(state.history)
    ]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
