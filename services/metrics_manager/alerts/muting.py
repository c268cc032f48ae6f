"""Which alerts nobody is told of: silenced, or inhibited by another one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import re2

from services.metrics_manager.alert_kinds import AlertSilence, SilenceMatcher
from services.metrics_manager.alerts.alert import Alert, Rule


def is_active(silence: AlertSilence, now: datetime) -> bool:
    spec = silence.spec
    return (spec.starts_at is None or spec.starts_at <= now) and now < spec.ends_at


def silenced_by(alert: Alert, silences: Iterable[AlertSilence], now: datetime) -> list[str]:
    """The names of the silences that are meant for it."""
    labels = dict(alert.labels)
    return [
        f"{each.metadata.namespace}/{each.metadata.name}"
        for each in silences
        if is_active(each, now) and _reaches(each, labels) and all(_holds(m, labels) for m in each.spec.matchers)
    ]


def _reaches(silence: AlertSilence, labels: Mapping[str, str]) -> bool:
    return silence.spec.scope == "Cloud" or labels.get("namespace") == silence.metadata.namespace


def _holds(matcher: SilenceMatcher, labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher.name, "")
    if not matcher.is_regex:
        return (value == matcher.value) is matcher.is_equal
    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(f"(?:{matcher.value})", options).fullmatch(value) is not None
    except re2.error:
        return False  # nobody is kept from an alarm by an expression that says nothing
    return found is matcher.is_equal


def inhibited(alert: Alert, rules: Mapping[str, Rule], alerts: Sequence[Alert]) -> bool:
    """Whether another one fires that this one's rule names, with the same values of the labels that are compared."""
    rule = rules.get(alert.rule)
    if rule is None or not rule.inhibited_by:
        return False
    own, names = dict(alert.labels), rule.inhibit_labels
    return any(
        other.state == "firing"
        and other.id != alert.id
        and _is_named(other, rule)
        and all(own.get(name) == dict(other.labels).get(name) for name in names)
        for other in alerts
    )


def _is_named(other: Alert, rule: Rule) -> bool:
    """By a rule of the platform, or of its own namespace."""
    own = rule.key.rpartition("/")[0]
    return other.rule in rule.inhibited_by or (
        bool(own) and other.rule in {f"{own}/{each}" for each in rule.inhibited_by}
    )
