"""MetricAlarm: a statistic of a metric, or an expression, held against a threshold, as CloudWatch's alarms are.

Source: Amazon CloudWatch API reference, PutMetricAlarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from crds.invariants import Transition, on, spec_of
from crds.kind import Column, Kind, Resource
from crds.lent_rights import LentRight
from crds.meta import Spec, Status
from crds.model import Model, Timestamp
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import Arn, parse_arn
from services.sdk.aws.resource_names import DEFAULT_REGION, resource_name
from services.sdk.aws.tags import tag_fault

Short = Annotated[str, Field(max_length=255)]
Comparison = Literal[
    "GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"
]
Missing = Literal["missing", "ignore", "breaching", "notBreaching"]
Actions = Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=5)]
LONGEST_SPAN = 7 * 86_400
_SHORT = (10, 20, 30)


class AlarmMetric(Model):
    """`namespace`: CloudWatch's, such as `Shop`. `statistic`: `Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`
    or a percentile (`p99`). `unit`: of what was put in that unit alone.
    """

    namespace: Annotated[str, Field(min_length=1, max_length=255)]
    name: Annotated[str, Field(min_length=1, max_length=255)]
    dimensions: dict[Short, Annotated[str, Field(max_length=1024)]] = Field(default_factory=dict, max_length=30)
    statistic: Annotated[str, Field(min_length=1, max_length=16)]
    unit: Annotated[str, Field(max_length=32)] = ""

    @property
    def is_extended(self) -> bool:
        """Whether it is a percentile, which AWS calls an extended statistic."""
        return self.statistic.lower().startswith("p")


class AlarmQuery(Model):
    """One of `metric` and `expression` (metric math over the ids of the others)."""

    id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[a-z][a-zA-Z0-9_]*$")]
    label: Short = ""
    expression: Annotated[str, Field(max_length=2048)] = ""
    metric: AlarmMetric | None = None
    returns_data: bool = False

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if bool(self.expression) == (self.metric is not None):
            raise ValueError(f"queries: {self.id}: exactly one of metric and expression")
        return self


class MetricAlarmSpec(Spec):
    """`alarmName`: as AWS calls it, the resource's own name where it is empty; with `region` it may not change. Of
    `metric` and `queries`, one is said; the number of it, or of the query that returns its data, is held against
    `threshold` every `periodSeconds`.
    In ALARM it is when `datapointsToAlarm` (usually all) of the last `evaluationPeriods` numbers are beyond it.
    Actions: ARNs of topics of its own account and region, told when it comes into that state.
    """

    alarm_name: Short = ""
    region: Annotated[str, Field(max_length=32)] = ""
    description: Annotated[str, Field(max_length=1024)] = ""
    metric: AlarmMetric | None = None
    queries: Annotated[list[AlarmQuery], Field(max_length=20)] = []
    period_seconds: Annotated[int, Field(ge=10, le=86_400)]
    evaluation_periods: Annotated[int, Field(ge=1, le=1_440)]
    datapoints_to_alarm: Annotated[int, Field(ge=1)] | None = None
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    comparison: Comparison
    treat_missing_data: Missing = "missing"
    actions_enabled: bool = True
    ok_actions: Actions = []
    alarm_actions: Actions = []
    insufficient_data_actions: Actions = []
    tags: dict[str, str] | None = None

    @model_validator(mode="after")
    def _can_be_computed(self) -> Self:
        if (self.metric is None) == (not self.queries):
            raise ValueError("metric, queries: exactly one of them says what is held against the threshold")
        if self.queries and sum(each.returns_data for each in self.queries) != 1:
            raise ValueError("queries: exactly one has returnsData")
        if len({each.id for each in self.queries}) < len(self.queries):
            raise ValueError("queries: two have the same id")
        if self.period_seconds % 60 and self.period_seconds not in _SHORT:
            raise ValueError("periodSeconds: 10, 20, 30 or a multiple of 60")
        if self.period_seconds * self.evaluation_periods > LONGEST_SPAN:
            raise ValueError("evaluationPeriods: times periodSeconds it is at most seven days")
        if (self.datapoints_to_alarm or 1) > self.evaluation_periods:
            raise ValueError("datapointsToAlarm: at most evaluationPeriods")
        if fault := tag_fault(self.tags or {}):
            raise ValueError(f"tags: {fault}")
        if wrong := next((each for each in self.actions() if topic_of(each) is None), ""):
            raise ValueError(f"{wrong[:200]} is no ARN of a topic; actions are told to topics here")
        return self

    def actions(self) -> list[str]:
        """Of all states."""
        return [*self.ok_actions, *self.alarm_actions, *self.insufficient_data_actions]


class MetricAlarmStatus(Status):
    """`state`: OK, ALARM or INSUFFICIENT_DATA, and why. `error`: why it cannot be computed."""

    state: str = ""
    reason: str = ""
    arn: str = ""
    error: str = ""
    since: Timestamp | None = None


class MetricAlarm(Resource[MetricAlarmSpec, MetricAlarmStatus]):
    spec: MetricAlarmSpec
    status: MetricAlarmStatus = Field(default_factory=MetricAlarmStatus)


def topic_of(arn: str) -> Arn | None:
    """None for what is no ARN of a topic."""
    found = parse_arn(arn)
    return found if found is not None and found.service == "sns" and ":" not in found.resource else None


def _told(spec: Mapping[str, Any]) -> list[LentRight]:
    """Whoever may not publish to a topic has no alarm do it."""
    lists = (spec.get(each) for each in ("okActions", "alarmActions", "insufficientDataActions"))
    arns = {str(arn) for each in lists if isinstance(each, list) for arn in each}
    topics = {found for arn in arns if (found := topic_of(arn)) is not None}
    return [LentRight("use", "topics", resource_name(each.resource, each.region)) for each in sorted(topics, key=str)]


@on("create", "update")
def keeps_the_alarm_s_name(transition: Transition) -> None:
    """An alarm is called after its name in AWS, for good; its topics are those of its own account and region."""
    name, spec = transition.key.name, spec_of(transition.after)
    if transition.operation == "update" and transition.before is not None:
        before = spec_of(transition.before)
        for field in ("alarmName", "region"):
            if (spec.get(field) or "") != (before.get(field) or ""):
                raise transition.invalid(f"spec.{field}", "may not change")
    alarm, region = spec.get("alarmName") or name, spec.get("region") or ""
    if (wanted := resource_name(alarm, region)) != name:
        raise transition.invalid("metadata.name", f"the MetricAlarm {alarm} has to be called {wanted}, not {name}")
    for field in ("okActions", "alarmActions", "insufficientDataActions"):
        if fault := topics_fault(spec.get(field) or (), transition.key.namespace, region):
            raise transition.invalid(f"spec.{field}", fault)


def topics_fault(arns: Iterable[Any], namespace: str, region: str) -> str | None:
    """Why an alarm of that namespace and region may not tell one of them, or None."""
    own = (account_of(namespace), region or DEFAULT_REGION)
    for arn in arns:
        found = topic_of(str(arn))
        if found is None or (found.account, found.region) != own:
            return f"must be topics of its own account and region: arn:aws:sns:{own[1]}:{own[0]}:NAME"
    return None


METRIC_ALARM = Kind(
    name="MetricAlarm",
    plural="metricalarms",
    singular="metricalarm",
    short_names=("ma",),
    categories=("all",),
    model=MetricAlarm,
    lends=_told,
    invariants=(keeps_the_alarm_s_name,),
    description="A metric, or an expression over metrics, held against a threshold, as CloudWatch's alarms are.",
    columns=(
        Column("Name", "metadata.name"),
        Column("State", "status.state"),
        Column("Since", "status.since", "date"),
        Column("Threshold", "spec.threshold", "number"),
        Column("Reason", "status.reason", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)


def alarm_name(alarm: MetricAlarm) -> str:
    return alarm.spec.alarm_name or alarm.metadata.name


def alarm_arn(region: str, account: str, name: str) -> str:
    """`arn:aws:cloudwatch:eu-central-1:111122223333:alarm:slow orders`."""
    return f"arn:aws:cloudwatch:{region or DEFAULT_REGION}:{account}:alarm:{name}"


def arn_of(alarm: MetricAlarm) -> str:
    return alarm_arn(alarm.spec.region, account_of(alarm.metadata.namespace or ""), alarm_name(alarm))
