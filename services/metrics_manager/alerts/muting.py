"""Which alerts nobody is told of: silenced, or inhibited by another one. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import re2

from services.metrics_manager.alert_kinds import AlertSilence, SilenceMatcher
from services.metrics_manager.alerts.alert import Alert, Rule
from services.metrics_manager.alerts.book import AlertBook
from services.metrics_manager.alerts.by_age import oldest_first

MOST_SILENCES = 50
_MOST_MEMORY = 256 << 10
"""Bytes of a matcher's expression."""


def is_active(silence: AlertSilence, now: datetime) -> bool:
    spec = silence.spec
    return (spec.starts_at is None or spec.starts_at <= now) and now < spec.ends_at


class Silences:
    """Those that hold at that moment; so many of each namespace as there may be, the oldest."""

    def __init__(self, silences: Iterable[AlertSilence], now: datetime) -> None:
        self._cloud: list[AlertSilence] = []
        self._own: dict[str, list[AlertSilence]] = {}
        counts = Counter[str]()
        for each in oldest_first(silence for silence in silences if is_active(silence, now)):
            namespace = each.metadata.namespace or ""
            counts[namespace] += 1
            if counts[namespace] <= MOST_SILENCES:
                (self._cloud if each.spec.scope == "Cloud" else self._own.setdefault(namespace, [])).append(each)

    def reach(self, alert: Alert) -> list[str]:
        """The names of those that are meant for it."""
        labels = dict(alert.labels)
        return [
            f"{each.metadata.namespace}/{each.metadata.name}"
            for each in (*self._cloud, *self._own.get(labels.get("namespace", ""), ()))
            if all(_holds(matcher, labels) for matcher in each.spec.matchers)
        ]


def _holds(matcher: SilenceMatcher, labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher.name, "")
    if not matcher.is_regex:
        return (value == matcher.value) is matcher.is_equal
    expression = _expression(matcher.value)
    if expression is None:
        return False  # nobody is kept from an alarm by an expression that says nothing
    return (expression.fullmatch(value) is not None) is matcher.is_equal


@lru_cache(maxsize=1_024)
def _expression(text: str) -> Any:
    """None where it is none."""
    options = re2.Options()
    options.log_errors, options.max_mem = False, _MOST_MEMORY
    try:
        return re2.compile(f"(?:{text})", options)
    except re2.error:
        return None


class Inhibitions:
    """Which alerts fire that others are kept quiet by. For one moment: what fires is looked at once for each rule."""

    def __init__(self, rules: Mapping[str, Rule], book: AlertBook) -> None:
        self._rules, self._book = rules, book
        self._known: dict[str, dict[tuple[str, ...], set[str]]] = {}

    def reach(self, alert: Alert) -> bool:
        """Whether another one fires that this one's rule names, with the same values of the labels it compares."""
        rule = self._rules.get(alert.rule)
        if rule is None or not rule.inhibited_by:
            return False
        if rule.key not in self._known:
            self._known[rule.key] = self._firing(rule)
        return bool(self._known[rule.key].get(_compared(alert, rule), set()) - {alert.id})

    def _firing(self, rule: Rule) -> dict[tuple[str, ...], set[str]]:
        """Ids of those that it names, by the values that are compared: of the platform, or of its own namespace."""
        own = rule.key.rpartition("/")[0]
        named = {*rule.inhibited_by, *(f"{own}/{each}" for each in rule.inhibited_by if own)}
        found: dict[tuple[str, ...], set[str]] = {}
        for other in (each for key in named for each in self._book.of(key).values() if each.state == "firing"):
            found.setdefault(_compared(other, rule), set()).add(other.id)
        return found


def _compared(alert: Alert, rule: Rule) -> tuple[str, ...]:
    labels = dict(alert.labels)
    return tuple(labels.get(name, "") for name in rule.inhibit_labels)
