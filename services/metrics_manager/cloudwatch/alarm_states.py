"""What state an alarm is in, of the numbers of its last periods. Pure.

Source: Amazon CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from services.metrics_manager.cloudwatch.alarm_kinds import MetricAlarmSpec

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
STATES = (OK, ALARM, INSUFFICIENT)
MORE = 2
"""So many periods are looked at beyond those that count: numbers that are late, or missing, have others stand in."""
LISTED, MOST_TOLD = 10, 20
"""Numbers in a reason, and in what is told beside it: an alarm may look at 1,440, and its history has a hundred."""
UNCHECKED = "Unchecked: Initial alarm creation"
_WORDS = {
    "GreaterThanThreshold": "greater than",
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
_TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching"}


class Number(NamedTuple):
    """One of a period; `time` in ms."""

    time: int
    value: float


class Verdict(NamedTuple):
    """`data`: as AWS has it in `StateReasonData`."""

    state: str
    reason: str
    data: dict[str, Any]


def is_breaching(spec: MetricAlarmSpec, value: float) -> bool:
    if spec.comparison == "GreaterThanThreshold":
        return value > spec.threshold
    if spec.comparison == "GreaterThanOrEqualToThreshold":
        return value >= spec.threshold
    return value < spec.threshold if spec.comparison == "LessThanThreshold" else value <= spec.threshold


def judge(spec: MetricAlarmSpec, numbers: Sequence[Number], before: str, now: float) -> Verdict:
    """`numbers`: of all periods that are looked at, the oldest first, NaN for none. `before`: the state it was in."""
    there = [each for each in numbers if not math.isnan(each.value)][-spec.evaluation_periods :]
    missing = spec.evaluation_periods - len(there)
    state = _state(spec, there, missing, before)
    return Verdict(state, _reason(spec, state, there, missing), _data(spec, there, now))


def _state(spec: MetricAlarmSpec, there: Sequence[Number], missing: int, before: str) -> str:
    breaching = sum(is_breaching(spec, each.value) for each in there)
    wanted, treated = spec.datapoints_to_alarm or spec.evaluation_periods, spec.treat_missing_data
    if treated == "breaching":
        breaching += missing
    if breaching >= wanted:
        return ALARM
    if treated in ("breaching", "notBreaching") or not missing:
        return OK
    if not there:
        return INSUFFICIENT if treated == "missing" else before
    if breaching < len(there):
        return OK
    return ALARM if treated == "missing" else before


def _reason(spec: MetricAlarmSpec, state: str, there: Sequence[Number], missing: int) -> str:
    treated = _TREATED.get(spec.treat_missing_data)
    as_what = f"{missing} missing {_points(missing)} treated as [{treated}]" if treated and missing else ""
    if not there:
        if not as_what:
            return f"Insufficient Data: {missing} {_points(missing)} unknown."
        periods = "1 period" if missing == 1 else f"{missing} periods"
        return f"Threshold Crossed: no datapoints were received for {periods} and {as_what}."
    breaching = [each for each in there if is_breaching(spec, each.value)]
    others = [each for each in there if each not in breaching]
    shown = (breaching or others) if state == ALARM else (others or breaching)
    negation = "" if shown[0] in breaching else "not "
    listed = ", ".join(f"{each.value!r} ({_day(each.time)})" for each in reversed(shown[-LISTED:]))
    listed += ", ..." if len(shown) > LISTED else ""
    beyond = f"{negation}{_WORDS[spec.comparison]} the threshold ({spec.threshold!r})"
    besides = f" and {as_what}" if as_what else ""
    if spec.evaluation_periods == 1:
        return f"Threshold Crossed: 1 datapoint [{listed}] was {beyond}{besides}."
    wanted = spec.datapoints_to_alarm or spec.evaluation_periods
    way = "OK -> ALARM" if state == ALARM else "ALARM -> OK"
    least = wanted if state == ALARM else spec.evaluation_periods - wanted + 1
    minimum = f"(minimum {least} datapoint{'' if least == 1 else 's'} for {way} transition)"
    were = "was" if len(shown) == 1 else "were"
    last = f"{len(shown)} out of the last {spec.evaluation_periods} datapoints"
    return f"Threshold Crossed: {last} [{listed}] {were} {beyond}{besides} {minimum}."


def _points(number: int) -> str:
    return "datapoint was" if number == 1 else "datapoints were"


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%d/%m/%y %H:%M:%S")


def _data(spec: MetricAlarmSpec, there: Sequence[Number], now: float) -> dict[str, Any]:
    found: dict[str, Any] = {"version": "1.0", "queryDate": date_text(now)}
    if there:
        found["startDate"] = date_text(there[0].time / 1000)
    if spec.metric is not None:
        found |= {"unit": spec.metric.unit} if spec.metric.unit else {}
        found["statistic"] = spec.metric.statistic
    return found | {
        "period": spec.period_seconds,
        "recentDatapoints": [each.value for each in there[-MOST_TOLD:]],
        "threshold": spec.threshold,
        "evaluatedDatapoints": [
            {"timestamp": date_text(each.time / 1000), "value": each.value} for each in reversed(there[-MOST_TOLD:])
        ],
    }


def date_text(seconds: float) -> str:
    """`2023-10-26T16:42:00.000+0000`."""
    return (
        datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03}+0000"
    )
