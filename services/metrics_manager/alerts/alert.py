"""One alert, and how it moves: pending, firing, resolved. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Literal

from services.metrics_manager.promql.labels import Labels, labels_of

State = Literal["pending", "firing", "resolved"]
KEPT_RESOLVED = 900.0
"""For how many seconds one that is resolved is remembered: whoever is told of groups hears of it."""
KEPT_AWAITED = 86_400.0
"""The same, where somebody who was told of it is still to be told of its end."""
MOST_TEXT = 2_048


@dataclass(frozen=True, slots=True)
class Rule:
    """What is evaluated. `namespace`: whose series it sees, None for all. `key` is its name, with its namespace where
    it is a resource.
    """

    key: str
    name: str
    namespace: str | None
    expr: str
    for_seconds: float = 0.0
    keep_firing: float = 0.0
    severity: str = "warning"
    labels: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    description: str = ""
    runbook: str = ""
    inhibited_by: tuple[str, ...] = ()
    inhibit_labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """Times are seconds since 1970. `seen`: when the expression gave it last; `fired`, `ended`: 0 before that."""

    rule: str
    labels: Labels
    state: State
    began: float
    seen: float
    value: float
    fired: float = 0.0
    ended: float = 0.0
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same labels."""
        return sha256(repr(self.labels).encode()).hexdigest()[:16]

    def wire(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "labels": dict(self.labels),
            "state": self.state,
            "began": self.began,
            "seen": self.seen,
            "value": repr(self.value),
            "fired": self.fired,
            "ended": self.ended,
            "annotations": dict(self.annotations),
        }


def alert_of(wire: Mapping[str, Any]) -> Alert:
    """As `Alert.wire` wrote it."""
    return Alert(**{**wire, "labels": labels_of(wire["labels"]), "value": float(wire["value"])})


def advanced(
    rule: Rule,
    found: Iterable[tuple[Labels, float]],
    before: Mapping[str, Alert],
    now: float,
    awaited: Collection[str] = (),
) -> list[Alert]:
    """The alerts of a rule, of what its expression gives now and what they were; those that mean nothing any more are
    not among them. `awaited`: ids of those whose end somebody waits for.
    """
    after = {}
    for labels, value in found:
        alert = _begun(rule, labels, value, now)
        known = before.get(alert.id)
        after[alert.id] = _seen(rule, alert, known if known is not None and known.state != "resolved" else None, now)
    for id, known in before.items():
        if id not in after and (left := _unseen(rule, known, now, id in awaited)) is not None:
            after[id] = left
    return list(after.values())


def _begun(rule: Rule, labels: Labels, value: float, now: float) -> Alert:
    own = {"alertname": rule.name, "severity": rule.severity}
    if rule.namespace is not None:
        own["namespace"] = rule.namespace
    told = labels_of({**{n: v for n, v in labels if n != "__name__"}, **rule.labels, **own})
    texts = {"summary": rule.summary, "description": rule.description, "runbook_url": rule.runbook}
    annotations = {name: filled(text, told, value) for name, text in texts.items() if text}
    return Alert(rule.key, told, "pending", now, now, value, annotations=annotations)


def _seen(rule: Rule, alert: Alert, known: Alert | None, now: float) -> Alert:
    began = now if known is None else known.began
    alert = replace(alert, began=began)
    if known is not None and known.state == "firing":
        return replace(alert, state="firing", fired=known.fired)
    if now - began >= rule.for_seconds:
        return replace(alert, state="firing", fired=now)
    return alert


def _unseen(rule: Rule, known: Alert, now: float, is_awaited: bool) -> Alert | None:
    if known.state == "firing":
        if now - known.seen < rule.keep_firing:
            return known
        return replace(known, state="resolved", ended=now)
    if known.state == "resolved" and now - known.ended < (KEPT_AWAITED if is_awaited else KEPT_RESOLVED):
        return known
    return None


def filled(text: str, labels: Labels, value: float) -> str:
    """`{{ $value }}` and `{{ $labels.x }}` replaced; what else stands between braces stays. Cut off at `MOST_TEXT`
    characters: a label may be long, and be named again and again.
    """
    parts, rest = "", text
    while rest and len(parts) < MOST_TEXT:
        before, mark, rest = rest.partition("{{")
        parts += before
        if not mark:
            break
        name, closed, after = rest.partition("}}")
        if not closed:
            parts, rest = parts + mark + rest, ""
            break
        parts, rest = parts + _meant(name.strip(), labels, value), after
    return parts[:MOST_TEXT]


def _meant(name: str, labels: Labels, value: float) -> str:
    if name == "$value":
        return f"{value:.6g}"
    if name.startswith("$labels."):
        return dict(labels).get(name.removeprefix("$labels."), "")
    return "{{ " + name + " }}"
