"""Which alerts a channel is told of, together with which, and what of them is news to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.metrics_manager.alert_kinds import AlertChannel
from services.metrics_manager.alerts.alert import Alert
from services.metrics_manager.alerts.messages import Group


def is_news(alert: Alert, told: Mapping[str, Any], *, ends: bool) -> bool:
    """One that fires and was not told, or began anew since, or that ended and was told while it fired. `told`: what
    was, and when, as the book has it.
    """
    state: str | None = told["alerts"].get(alert.id)
    at: float = told["at"]
    if alert.state == "firing":
        return state != "firing" or alert.fired > at
    return ends and state == "firing"


def groups_of(channel: AlertChannel, alerts: Sequence[Alert]) -> list[Group]:
    """What that channel is told of, by the labels it groups by."""
    found: dict[tuple[tuple[str, str], ...], list[Alert]] = {}
    for each in alerts:
        labels = dict(each.labels)
        if _is_for(channel, labels):
            found.setdefault(tuple((n, labels.get(n, "")) for n in channel.spec.group_by), []).append(each)
    uid = channel.metadata.uid or ""
    return [Group(f"{uid}/{_joined(labels)}", dict(labels), each) for labels, each in found.items()]


def _is_for(channel: AlertChannel, labels: Mapping[str, str]) -> bool:
    spec = channel.spec
    reaches = spec.scope == "Cloud" or labels.get("namespace") == channel.metadata.namespace
    return reaches and all(labels.get(name) == value for name, value in spec.match.items())


def _joined(labels: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels)
