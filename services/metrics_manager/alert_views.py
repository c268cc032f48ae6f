"""Rules and alerts as Prometheus's API and Alertmanager's show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from crds.model import rfc3339_milli
from services.metrics_manager.alerts.alert import Alert, Rule

Json = dict[str, Any]


def moment(seconds: float) -> str:
    return rfc3339_milli(datetime.fromtimestamp(seconds, UTC))


def alert_view(alert: Alert) -> Json:
    """One of `/api/v1/alerts`."""
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": alert.state,
        "activeAt": moment(alert.began),
        "value": f"{alert.value:e}",
    }


def rule_view(rule: Rule, alerts: Sequence[Alert], error: str, at: float) -> Json:
    """One rule of `/api/v1/rules`."""
    live = [each for each in alerts if each.state != "resolved"]
    state = "firing" if any(each.state == "firing" for each in live) else ("pending" if live else "inactive")
    texts = {"summary": rule.summary, "description": rule.description, "runbook_url": rule.runbook}
    return {
        "state": state,
        "name": rule.name,
        "query": rule.expr,
        "duration": rule.for_seconds,
        "keepFiringFor": rule.keep_firing,
        "labels": {**rule.labels, "severity": rule.severity},
        "annotations": {name: text for name, text in texts.items() if text},
        "alerts": [alert_view(each) for each in live],
        "health": "err" if error else ("ok" if at else "unknown"),
        "lastError": error,
        "evaluationTime": 0,
        "lastEvaluation": moment(at),
        "type": "alerting",
    }


def group_view(name: str, rules: list[Json], at: float) -> Json:
    return {
        "name": name,
        "file": name,
        "rules": rules,
        "interval": 10,
        "limit": 0,
        "evaluationTime": 0,
        "lastEvaluation": moment(at),
    }


def managed_alert_view(alert: Alert, muted: Sequence[str]) -> Json:
    """One of Alertmanager's `/api/v2/alerts`."""
    silenced = [each for each in muted if each != "inhibited"]
    return {
        "annotations": dict(alert.annotations),
        "labels": dict(alert.labels),
        "startsAt": moment(alert.fired),
        "updatedAt": moment(alert.seen),
        "endsAt": moment(alert.ended or alert.seen + 60),
        "fingerprint": alert.id,
        "generatorURL": "",
        "receivers": [],
        "status": {
            "state": "suppressed" if muted else "active",
            "silencedBy": silenced,
            "inhibitedBy": ["inhibited"] if "inhibited" in muted else [],
            "mutedBy": [],
        },
    }
