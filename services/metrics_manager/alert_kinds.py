"""AlertRule, AlertChannel, AlertSilence: what is alarming, who is told, and what nobody is told of for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from crds.kind import Column, Kind, Resource
from crds.lent_rights import LentRight
from crds.meta import Spec, Status
from crds.model import Model, Timestamp
from services.metrics_manager.kinds import LabelName, LabelValue

Severity = Literal["critical", "warning", "info"]
Text = Annotated[str, Field(max_length=2048)]
Mailbox = Annotated[
    str, Field(min_length=3, max_length=254, pattern=r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+$")
]
_OF_THE_CLOUD = LentRight("list", "workers")


def _cloud_wide(spec: Mapping[str, Any]) -> list[LentRight]:
    """Workers live in no namespace: who may list them sees the cloud."""
    return [_OF_THE_CLOUD] if spec.get("scope") == "Cloud" else []


class AlertRuleSpec(Spec):
    """`expr`: PromQL; each series it gives is an alert. `forSeconds`: how long it must be there until it fires;
    `keepFiringForSeconds`: how long it must be gone until it is resolved. `scope`: `Namespace` sees the series of the
    rule's own namespace, `Cloud` all: for who may list workers. `summary`, `description`: `{{ $value }}` and
    `{{ $labels.x }}` stand for the alert's. `inhibitedBy`: names of rules of its namespace, or of the platform; while
    one of them fires with the same values of `inhibitLabels` (where there are none: whatever its labels), nobody is
    told of this one.
    """

    expr: Annotated[str, Field(min_length=1, max_length=16_384)]
    for_seconds: Annotated[int, Field(ge=0, le=604_800)] = 0
    keep_firing_for_seconds: Annotated[int, Field(ge=0, le=604_800)] = 0
    severity: Severity = "warning"
    scope: Literal["Namespace", "Cloud"] = "Namespace"
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict, max_length=16)
    summary: Text = ""
    description: Text = ""
    runbook: Text = ""
    inhibited_by: list[Annotated[str, Field(max_length=253)]] = Field(default_factory=list, max_length=16)
    inhibit_labels: list[LabelName] = Field(default_factory=list, max_length=16)
    enabled: bool = True

    @model_validator(mode="after")
    def _labels_are_free(self) -> Self:
        if taken := sorted(set(self.labels) & {"alertname", "severity", "namespace", "__name__"}):
            raise ValueError(f"labels: {', '.join(taken)} cannot be chosen")
        return self


class AlertRuleStatus(Status):
    """`firing`, `pending`: how many alerts there are. `error`: why the expression cannot be computed."""

    phase: str = ""
    firing: int = 0
    pending: int = 0
    error: str = ""
    since: Timestamp | None = None


class AlertRule(Resource[AlertRuleSpec, AlertRuleStatus]):
    spec: AlertRuleSpec
    status: AlertRuleStatus = Field(default_factory=AlertRuleStatus)


ALERT_RULE = Kind(
    name="AlertRule",
    plural="alertrules",
    singular="alertrule",
    short_names=("ar",),
    categories=("all",),
    model=AlertRule,
    lends=_cloud_wide,
    description="A PromQL expression that is alarming as long as it gives something.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Phase", "status.phase"),
        Column("Severity", "spec.severity"),
        Column("Firing", "status.firing", "integer"),
        Column("Error", "status.error", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)


class MailTo(Model):
    """`to`, `sender`: addresses alone, without names. `host`, `port`: a mail server that takes mail by STARTTLS, or
    TLS at 465. With a Secret, `username` logs in with its `password`.
    """

    to: Annotated[list[Mailbox], Field(min_length=1, max_length=16)]
    sender: Mailbox
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    username: Annotated[str, Field(max_length=254)] = ""


class AlertChannelSpec(Spec):
    """`type`: `webhook` posts what Alertmanager's webhooks post, `slack` what Slack's incoming webhooks take,
    `pagerduty` events of its Events API v2, `email` mails, `heartbeat` posts every `repeatSeconds` as long as rules
    are computed: silence is the alarm. `secretName`: a Secret of the same namespace whose `url` is posted to (with
    `routingKey` for `pagerduty`). `match`: labels an alert must have. `scope`: `Namespace` is told of alerts with
    its own namespace, `Cloud` of all. Alerts with the same values of `groupBy` are told together, `groupSeconds`
    after the first.
    """

    type: Literal["webhook", "slack", "pagerduty", "email", "heartbeat"]
    secret_name: Annotated[str, Field(max_length=253)] = ""
    email: MailTo | None = None
    match: dict[LabelName, LabelValue] = Field(default_factory=dict, max_length=16)
    scope: Literal["Namespace", "Cloud"] = "Namespace"
    group_by: list[LabelName] = Field(default_factory=lambda: ["alertname"], max_length=16)
    group_seconds: Annotated[int, Field(ge=0, le=3_600)] = 2
    repeat_seconds: Annotated[int, Field(ge=30, le=604_800)] = 14_400
    send_resolved: bool = True
    enabled: bool = True

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if (self.type == "email") != (self.email is not None):
            raise ValueError("email: is there for the type email, and for no other")
        if self.type != "email" and not self.secret_name:
            raise ValueError("secretName: names the Secret whose url is posted to")
        return self


class AlertChannelStatus(Status):
    """`error`: why the last message could not be told; empty once one was."""

    phase: str = ""
    error: str = ""
    last_told_at: Timestamp | None = None


class AlertChannel(Resource[AlertChannelSpec, AlertChannelStatus]):
    spec: AlertChannelSpec
    status: AlertChannelStatus = Field(default_factory=AlertChannelStatus)


def _borrows(spec: Mapping[str, Any]) -> list[LentRight]:
    name = str(spec.get("secretName") or "")
    return [*_cloud_wide(spec), *([LentRight("get", "secrets", name, group="")] if name else [])]


ALERT_CHANNEL = Kind(
    name="AlertChannel",
    plural="alertchannels",
    singular="alertchannel",
    short_names=("ac",),
    categories=("all",),
    model=AlertChannel,
    lends=_borrows,
    description="Who is told of alerts, and how.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Type", "spec.type"),
        Column("Phase", "status.phase"),
        Column("Last Told", "status.lastToldAt", "date"),
        Column("Error", "status.error", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)


class SilenceMatcher(Model):
    """As Alertmanager's: `isRegex` matches the whole value, `isEqual: false` what does not match."""

    name: LabelName
    value: LabelValue
    is_regex: bool = False
    is_equal: bool = True


class AlertSilenceSpec(Spec):
    """Alerts of its namespace (`scope: Cloud`: of all) that all `matchers` match are told to nobody from `startsAt`
    (at once, where it is absent) until `endsAt`.
    """

    matchers: Annotated[list[SilenceMatcher], Field(min_length=1, max_length=16)]
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime
    comment: Text = ""
    scope: Literal["Namespace", "Cloud"] = "Namespace"


class AlertSilenceStatus(Status):
    phase: str = ""


class AlertSilence(Resource[AlertSilenceSpec, AlertSilenceStatus]):
    spec: AlertSilenceSpec
    status: AlertSilenceStatus = Field(default_factory=AlertSilenceStatus)


ALERT_SILENCE = Kind(
    name="AlertSilence",
    plural="alertsilences",
    singular="alertsilence",
    categories=("all",),
    model=AlertSilence,
    lends=_cloud_wide,
    description="Alerts that nobody is told of for a while.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Phase", "status.phase"),
        Column("Ends", "spec.endsAt"),
        Column("Comment", "spec.comment", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
