"""CloudWatch's operations about alarms.

Source: Amazon CloudWatch API reference, PutMetricAlarm, DescribeAlarms, DescribeAlarmsForMetric,
DescribeAlarmHistory, DeleteAlarms, SetAlarmState, EnableAlarmActions, DisableAlarmActions, TagResource,
UntagResource, ListTagsForResource.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import orjson

from crds.errors import AlreadyExists, NotFound
from services.metrics_manager.cloudwatch import errors
from services.metrics_manager.cloudwatch.alarm_book import AlarmBook
from services.metrics_manager.cloudwatch.alarm_evaluating import MOST_ALARMS, AlarmEvaluator, queries_of
from services.metrics_manager.cloudwatch.alarm_kinds import (
    METRIC_ALARM,
    MetricAlarm,
    alarm_arn,
    alarm_name,
    topics_fault,
)
from services.metrics_manager.cloudwatch.alarm_states import Verdict
from services.metrics_manager.cloudwatch.alarm_views import OF_METRIC, described, history_items, spec_from
from services.metrics_manager.cloudwatch.datum import metric_in
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.arns import parse_arn
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.pagination import InvalidToken, PageTokens
from services.sdk.aws.resource_names import resource_name
from services.sdk.aws.tags import require_tags, tag_list, tags_of
from services.sdk.changing import Changing
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources

Json = dict[str, Any]
T = TypeVar("T")
Tags = dict[str, str]
PAGE, MOST_NAMES = 100, 100
_PUT = (
    *("AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions"),
    *OF_METRIC,
    *("EvaluationPeriods", "DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData"),
    *("Metrics", "Tags"),
)
_DESCRIBE = ("AlarmNames", "AlarmNamePrefix", "AlarmTypes", "StateValue", "ActionPrefix", "MaxRecords", "NextToken")
_HISTORY = (
    *("AlarmName", "AlarmTypes", "HistoryItemType", "StartDate", "EndDate", "MaxRecords", "NextToken", "ScanBy"),
)


class AlarmOperations:
    """One declared method per operation."""

    def __init__(
        self,
        context: ServiceContext,
        evaluator: AlarmEvaluator,
        book: AlarmBook,
        access: CallerAccess,
        tokens: PageTokens,
    ) -> None:
        self._clock, self._changing = context.clock, Changing(context)
        self._evaluator, self._book = evaluator, book
        self._access, self._tokens, self._alarms = access, tokens, evaluator.alarms

    @operation("PutMetricAlarm", permission=("update", METRIC_ALARM), understands=_PUT)
    async def put_metric_alarm(self, call: RequestContext, request: Json) -> None:
        """Also makes it. Its state stays until it is computed anew, and so do its tags, once it is there."""
        name = request["AlarmName"]
        acting = await self._acting(call, name)
        before = await self._found(call, name)
        tags = _tags(request) if before is None else before.spec.tags
        spec = spec_from(call, request, tags or None)
        if fault := topics_fault(spec.actions(), call.namespace, call.region):
            raise errors.validation(f"Actions {fault}")
        if before is not None:

            def edit(alarm: MetricAlarm) -> None:
                kept = {"alarm_name": alarm.spec.alarm_name, "region": alarm.spec.region, "tags": alarm.spec.tags}
                alarm.spec = spec.model_copy(update=kept)

            await self._note(await self._change(acting, before, edit))
            return
        if len(self._alarms.all(call.namespace)) >= MOST_ALARMS:
            raise errors.limit(f"There are {MOST_ALARMS} alarms already.")
        made = METRIC_ALARM.new(resource_name(name, call.region), namespace=call.namespace, spec=spec)
        try:
            await self._note(self._alarms.put(await acting.create(METRIC_ALARM, made)))
        except AlreadyExists:  # by somebody else, just now
            raise errors.validation(f"Alarm {name} was made by somebody else just now.") from None

    @operation("DescribeAlarms", permission=("list", METRIC_ALARM), understands=_DESCRIBE)
    async def describe_alarms(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        names, prefix = request.get("AlarmNames") or (), request.get("AlarmNamePrefix") or ""
        if names and prefix:
            raise errors.combination("AlarmNames and AlarmNamePrefix are mutually exclusive.")
        state, action = request.get("StateValue") or "", request.get("ActionPrefix") or ""
        types = request.get("AlarmTypes") or ("MetricAlarm",)
        found = [
            each
            for each in (self._seen(call) if "MetricAlarm" in types else ())
            if (not names or alarm_name(each) in names)
            and alarm_name(each).startswith(prefix)
            and state in ("", self._book.state(each).value)
            and (not action or any(arn.startswith(action) for arn in each.spec.actions()))
        ]
        rows, more = self._page(call, request, found, alarm_name, repr([names, prefix, state, action, types]))
        alarms = [described(each, self._book.state(each)) for each in rows]
        return {"MetricAlarms": alarms, "CompositeAlarms": [], **more}

    @operation("DescribeAlarmsForMetric", permission=("list", METRIC_ALARM), understands=OF_METRIC)
    async def describe_alarms_for_metric(self, call: RequestContext, request: Json) -> Json:
        """Also those whose expressions are of it."""
        await self._access.require(call)
        wanted = metric_in(request, call.namespace, call.region)
        statistic = request.get("Statistic") or request.get("ExtendedStatistic")
        found = [
            each
            for each in self._seen(call)
            if any(
                query.metric == wanted
                and statistic in (None, query.statistic)
                and request.get("Period") in (None, query.period)
                and request.get("Unit") in (None, query.unit)
                for query in queries_of(each)
            )
        ]
        return {"MetricAlarms": [described(each, self._book.state(each)) for each in sorted(found, key=alarm_name)]}

    @operation("DescribeAlarmHistory", permission=("list", METRIC_ALARM), understands=_HISTORY)
    async def describe_alarm_history(self, call: RequestContext, request: Json) -> Json:
        """The last hundred of each alarm that is there."""
        await self._access.require(call)
        name, kind, types = request.get("AlarmName"), request.get("HistoryItemType"), request.get("AlarmTypes")
        begin, end = request.get("StartDate"), request.get("EndDate")
        items = [
            item
            for alarm in self._seen(call)
            if name in (None, alarm_name(alarm)) and (not types or "MetricAlarm" in types)
            for item in history_items(alarm, self._book.state(alarm))
            if kind in (None, item["HistoryItemType"])
            and (begin is None or item["Timestamp"] >= begin)
            and (end is None or item["Timestamp"] <= end)
        ]
        is_descending = (request.get("ScanBy") or "TimestampDescending") == "TimestampDescending"
        items.sort(key=lambda item: item["Timestamp"], reverse=is_descending)
        numbered = list(enumerate(items))
        scope = repr([name, kind, types, begin, end, is_descending])
        rows, more = self._page(call, request, numbered, lambda each: f"{each[0]:09}", scope)
        return {"AlarmHistoryItems": [item for _, item in rows], **more}

    @operation("DeleteAlarms", permission=("delete", METRIC_ALARM), understands=("AlarmNames",))
    async def delete_alarms(self, call: RequestContext, request: Json) -> None:
        """Those that are not there are gone already."""
        for name, acting in [(each, await self._acting(call, each)) for each in _names(request)]:
            found = await self._found(call, name)
            if found is None:
                continue
            with suppress(NotFound):
                await acting.delete(METRIC_ALARM, found.metadata.name, call.namespace, uid=found.metadata.uid)
            self._alarms.drop(found)

    @operation(
        "SetAlarmState",
        permission=("patch", METRIC_ALARM),
        understands=("AlarmName", "StateValue", "StateReason", "StateReasonData"),
    )
    async def set_alarm_state(self, call: RequestContext, request: Json) -> None:
        """Until it is computed again; its topics are told."""
        await self._acting(call, request["AlarmName"])
        found = await self._found(call, request["AlarmName"])
        if found is None:
            raise AwsError("ResourceNotFound", "", 404)
        verdict = Verdict(request["StateValue"], request["StateReason"], _reason_data(request))
        await self._evaluator.move(found, verdict, self._now())

    @operation("EnableAlarmActions", permission=("patch", METRIC_ALARM), understands=("AlarmNames",))
    async def enable_alarm_actions(self, call: RequestContext, request: Json) -> None:
        await self._switch(call, request, on=True)

    @operation("DisableAlarmActions", permission=("patch", METRIC_ALARM), understands=("AlarmNames",))
    async def disable_alarm_actions(self, call: RequestContext, request: Json) -> None:
        await self._switch(call, request, on=False)

    @operation("TagResource", permission=("patch", METRIC_ALARM), understands=("ResourceARN", "Tags"))
    async def tag_resource(self, call: RequestContext, request: Json) -> None:
        tags = _tags(request)
        await self._retag(call, request["ResourceARN"], lambda before: {**before, **tags})

    @operation("UntagResource", permission=("patch", METRIC_ALARM), understands=("ResourceARN", "TagKeys"))
    async def untag_resource(self, call: RequestContext, request: Json) -> None:
        gone = set(request["TagKeys"])
        await self._retag(
            call, request["ResourceARN"], lambda before: {k: v for k, v in before.items() if k not in gone}
        )

    @operation("ListTagsForResource", permission=("get", METRIC_ALARM), understands=("ResourceARN",))
    async def list_tags_for_resource(self, call: RequestContext, request: Json) -> Json:
        name = _name_in(call, request["ResourceARN"])
        await self._acting(call, name)
        return {"Tags": tag_list((await self._meant(call, name)).spec.tags or {})}

    async def _retag(self, call: RequestContext, arn: str, change: Callable[[Tags], Tags]) -> None:
        name = _name_in(call, arn)
        acting = await self._acting(call, name)

        def edit(alarm: MetricAlarm) -> None:
            tags = change(alarm.spec.tags or {})
            require_tags(tags, "InvalidParameterValueException")
            alarm.spec.tags = tags or None

        await self._change(acting, await self._meant(call, name), edit)

    async def _switch(self, call: RequestContext, request: Json, *, on: bool) -> None:
        def edit(alarm: MetricAlarm) -> None:
            alarm.spec.actions_enabled = on

        for name, acting in [(each, await self._acting(call, each)) for each in _names(request)]:
            if (found := await self._found(call, name)) is not None:
                await self._note(await self._change(acting, found, edit))

    async def _acting(self, call: RequestContext, name: str) -> Resources:
        """Resources to do it with, in the name of who may. Raises Forbidden."""
        asked = call._replace(resource=alarm_arn(call.region, call.account, name))
        return await self._access.resources_for(asked, resource_name(name, call.region))

    async def _found(self, call: RequestContext, name: str) -> MetricAlarm | None:
        """Of the caller's region, else one that is seen in all."""
        for region in dict.fromkeys((call.region, "")):
            found = await self._alarms.read(resource_name(name, region), call.namespace)
            if found is not None and alarm_name(found) == name and call.sees(found.spec.region):
                return found
        return None

    async def _meant(self, call: RequestContext, name: str) -> MetricAlarm:
        """Raises AwsError."""
        found = await self._found(call, name)
        if found is None:
            raise AwsError("ResourceNotFoundException", f"{name} is no alarm here", 404)
        return found

    def _seen(self, call: RequestContext) -> Iterator[MetricAlarm]:
        return (each for each in self._alarms.all(call.namespace) if call.sees(each.spec.region))

    async def _change(
        self, acting: Resources, alarm: MetricAlarm, edit: Callable[[MetricAlarm], None]
    ) -> MetricAlarm:
        """As `Changing.change`."""
        return await self._changing.change(METRIC_ALARM, self._alarms, acting, alarm, edit)

    async def _note(self, alarm: MetricAlarm) -> None:
        await self._book.note_spec(alarm, self._now())

    def _page(
        self, call: RequestContext, request: Json, items: list[T], by: Callable[[T], str], about: str
    ) -> tuple[list[T], Json]:
        """Raises AwsError."""
        scope = (call.operation, call.account, call.region, about)
        most = min(request.get("MaxRecords") or PAGE, PAGE)
        try:
            found = self._tokens.page(items, by, scope, request.get("NextToken") or None, most)
        except InvalidToken:
            raise errors.invalid_token() from None
        return found.items, {"NextToken": found.token} if found.token else {}

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _names(request: Json) -> list[str]:
    names = list(dict.fromkeys(request.get("AlarmNames") or ()))
    if len(names) > MOST_NAMES:
        raise errors.invalid(f"The collection AlarmNames must not have more than {MOST_NAMES}.")
    return names


def _reason_data(request: Json) -> dict[str, Any]:
    """Raises AwsError."""
    if not request.get("StateReasonData"):
        return {}
    try:
        found = orjson.loads(request["StateReasonData"])
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise AwsError("InvalidFormatFault", "StateReasonData was not valid JSON")
    return found


def _tags(request: Json) -> Tags:
    """Raises AwsError."""
    try:
        tags = tags_of(request.get("Tags") or ())
    except ValueError as doubled:
        raise errors.invalid(str(doubled)) from None
    require_tags(tags, "InvalidParameterValueException")
    return tags


def _name_in(call: RequestContext, arn: str) -> str:
    """The name of the alarm of that ARN, of the caller's account and region. Raises AwsError."""
    found = parse_arn(arn)
    if found is None or found.service != "cloudwatch" or not found.resource.startswith("alarm:"):
        raise errors.invalid(f"{arn[:200]} is no ARN of an alarm; nothing else has tags here.")
    if (found.region, found.account) != (call.region, call.account):
        raise AwsError("ResourceNotFoundException", f"{arn[:200]} is of another account or region", 404)
    return found.resource.removeprefix("alarm:")
