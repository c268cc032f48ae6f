"""The front page of metrics_manager: numbers over time, what they are asked for by, and who is told."""

from __future__ import annotations

from crds.managed import Grant, ManagedService
from services.metrics_manager.alert_kinds import ALERT_CHANNEL, ALERT_RULE, ALERT_SILENCE
from services.metrics_manager.cloudwatch.alarm_kinds import METRIC_ALARM
from services.metrics_manager.kinds import SCRAPE_TARGET

_LOOKED_AFTER = ("get", "list", "watch", "patch", "update")

MANIFEST = ManagedService(
    name="metrics_manager",
    title="Metrics",
    summary="Metrics of the platform and of what runs here, by PromQL and as CloudWatch; alerts, told to people.",
    access_rules="services.metrics_manager.access_rules:RULES",
    speaks=("monitoring",),
    known_as="cloudwatch.amazonaws.com",
    asks=("queue_manager",),
    create="services.metrics_manager.app:create",
    kinds=(SCRAPE_TARGET, ALERT_RULE, ALERT_CHANNEL, ALERT_SILENCE, METRIC_ALARM),
    grants=(
        *(Grant(each, _LOOKED_AFTER) for each in ("scrapetargets", "alertrules", "alertchannels", "alertsilences")),
        Grant("metricalarms", ("get", "list", "watch", "create", "update", "patch", "delete")),
        Grant("topics", ("use",)),
        Grant("secrets", ("get",), group=""),
        Grant("services/metrics", ("get", "list")),
    ),
    acts=(
        Grant("scrapetargets", ("list", "create")),
        Grant("alertrules", ("list",)),
        Grant("alertchannels", ("patch",)),
        Grant("metricalarms", ("get", "list", "create", "update", "patch", "delete")),
        # Whoever has an alarm tell a topic must be allowed to publish there.
        Grant("topics", ("use",)),
    ),
    keeps_data=True,
    backup="services.metrics_manager.backup:HOOKS",
)
