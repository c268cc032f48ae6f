"""What channels post and mail: the shapes of Alertmanager's webhooks, Slack and PagerDuty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, NamedTuple

from crds.model import rfc3339_milli
from services.metrics_manager.alerts.alert import Alert

Json = dict[str, Any]
MOST_ALERTS = 50


class Group(NamedTuple):
    """Alerts that are told together. `key` is the same for the same group of a channel."""

    key: str
    labels: Mapping[str, str]
    alerts: Sequence[Alert]

    @property
    def is_firing(self) -> bool:
        return any(each.state == "firing" for each in self.alerts)


def webhook(group: Group, receiver: str, base: str) -> Json:
    """As Alertmanager's webhooks, version 4."""
    shown = [_alert(each, base) for each in group.alerts[:MOST_ALERTS]]
    return {
        "version": "4",
        "groupKey": group.key,
        "truncatedAlerts": max(len(group.alerts) - MOST_ALERTS, 0),
        "status": "firing" if group.is_firing else "resolved",
        "receiver": receiver,
        "groupLabels": dict(group.labels),
        "commonLabels": _common([dict(each.labels) for each in group.alerts]),
        "commonAnnotations": _common([dict(each.annotations) for each in group.alerts]),
        "externalURL": base,
        "alerts": shown,
    }


def _alert(alert: Alert, base: str) -> Json:
    ended = _moment(alert.ended) if alert.state == "resolved" else "0001-01-01T00:00:00Z"
    return {
        "status": "resolved" if alert.state == "resolved" else "firing",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": _moment(alert.fired),
        "endsAt": ended,
        "generatorURL": base,
        "fingerprint": alert.id,
    }


def slack(group: Group) -> Json:
    """As incoming webhooks take it."""
    color = "danger" if group.is_firing else "good"
    return {"attachments": [{"color": color, "fallback": title(group), "title": title(group), "text": lines(group)}]}


def pagerduty(group: Group, routing_key: str) -> Json:
    """As the Events API v2 takes it: one incident of each group."""
    severity = next((dict(each.labels).get("severity", "") for each in group.alerts), "")
    return {
        "routing_key": routing_key,
        "event_action": "trigger" if group.is_firing else "resolve",
        "dedup_key": group.key[:255],
        "payload": {
            "summary": title(group)[:1024],
            "source": "aerekos",
            "severity": severity if severity in ("critical", "warning", "info") else "error",
            "custom_details": {"alerts": lines(group)},
        },
    }


def mail(group: Group, sender: str, to: Sequence[str]) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(to)
    message["Subject"] = " ".join(title(group).split())[:200]
    message.set_content(lines(group))
    return message


def title(group: Group) -> str:
    firing = sum(each.state == "firing" for each in group.alerts)
    what = f"FIRING: {firing}" if firing else "RESOLVED"
    return f"[{what}] {', '.join(f'{name}={value}' for name, value in sorted(group.labels.items())) or 'alerts'}"


def lines(group: Group) -> str:
    """A line for each alert."""
    return "\n".join(_line(each) for each in group.alerts[:MOST_ALERTS])


def _line(alert: Alert) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in alert.labels)
    return f"{alert.state}: {alert.annotations.get('summary') or 'no summary'} ({labels})"


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first = dict(maps[0]) if maps else {}
    return {name: value for name, value in first.items() if all_have(maps, name, value)}


def all_have(maps: Sequence[Mapping[str, str]], name: str, value: str) -> bool:
    return all(each.get(name) == value for each in maps)


def _moment(seconds: float) -> str:
    return rfc3339_milli(datetime.fromtimestamp(seconds, UTC))
