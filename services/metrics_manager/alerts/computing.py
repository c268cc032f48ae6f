"""What a rule makes of what is known now: its alerts. In the thread that computes rules.

What one rule, and those of one namespace together, may take is bounded: nobody's rules keep those of others waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from services.metrics_manager.alerts.alert import Alert, Rule, advanced
from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.labels import Labels
from services.metrics_manager.tenancy import OfNamespace

if TYPE_CHECKING:
    from services.metrics_manager.promql.engine import Limits
    from services.metrics_manager.promql.values import SampleSource

log = logging.getLogger(__name__)
MOST_ALERTS = 500
MOST_LABELS = 4_096
"""Characters of the names and values of one alert's."""
THEIR_SECONDS, THEIR_POINTS = 1.0, 5_000_000
Found = list[tuple[Labels, float]]


class Computed(NamedTuple):
    """`alerts`: None where it cannot be computed, for that `error`. `seconds`: how long it took."""

    alerts: list[Alert] | None
    error: str
    seconds: float


class Room(NamedTuple):
    """For how many alerts of the rule there is room: those that are pending or fire, and all of them."""

    live: int = MOST_ALERTS
    all: int = 2 * MOST_ALERTS


class Work(NamedTuple):
    """One rule, its alerts as they are, and the moment. `is_bounded`: computed as the rules of a namespace are."""

    rule: Rule
    before: Mapping[str, Alert]
    now: float
    awaited: Collection[str]
    room: Room = Room()
    is_bounded: bool = False


def computing(work: Work) -> Callable[[SampleSource], Computed]:
    """What computes it, of those series that it sees."""

    def compute(source: SampleSource) -> Computed:
        began = monotonic()
        try:
            return Computed(_alerts(source, work), "", monotonic() - began)
        except QueryError as error:
            return Computed(None, str(error), monotonic() - began)
        except Exception as mistake:
            log.exception("a rule cannot be computed", extra={"fields": {"rule": work.rule.key}})
            return Computed(None, f"it cannot be computed: {type(mistake).__name__}", monotonic() - began)

    return compute


def _alerts(source: SampleSource, work: Work) -> list[Alert]:
    """Raises QueryError."""
    rule = work.rule
    seen = source if rule.namespace is None else OfNamespace(source, rule.namespace)
    found = _given(seen, rule, work.now, _limits(work))
    if len(found) > work.room.live:
        raise QueryError(
            f"expr: it gives {len(found)} alerts, and there is room for {work.room.live} in its namespace"
        )
    alerts = advanced(rule, found, work.before, work.now, work.awaited)
    live = [each for each in alerts if each.state != "resolved"]
    ended = sorted((each for each in alerts if each.state == "resolved"), key=lambda each: -each.ended)
    return [*live, *ended[: max(work.room.all - len(live), 0)]]


def _limits(work: Work) -> Limits:
    from services.metrics_manager.promql.engine import LIMITS

    return LIMITS._replace(points=THEIR_POINTS, seconds=THEIR_SECONDS) if work.is_bounded else LIMITS


def _given(source: SampleSource, rule: Rule, now: float, limits: Limits) -> Found:
    """Raises QueryError."""
    from services.metrics_manager.promql.engine import query_instant
    from services.metrics_manager.promql.values import Vector

    value = query_instant(source, rule.expr, round(now * 1000), limits)
    if not isinstance(value, Vector):
        raise QueryError("expr: must give an instant vector", "bad_data")
    rows = zip(value.labels, value.values[:, 0], value.there[:, 0], strict=True)
    given = [(labels, float(number)) for labels, number, there in rows if there]
    if len(given) > MOST_ALERTS:
        raise QueryError(f"expr: it gives {len(given)} series; {MOST_ALERTS} alerts are the most there may be")
    if any(sum(len(n) + len(v) for n, v in labels) > MOST_LABELS for labels, _ in given):
        raise QueryError(f"expr: it gives labels of more than {MOST_LABELS} characters; aggregate by those that tell")
    return given
