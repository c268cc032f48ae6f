"""Functions of one value, of moments, and of labels."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import re2

from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.labels import NAME, labels_of, value_of
from services.metrics_manager.promql.values import Floats, Vector, merged

OfValues = Callable[[Floats], Floats]


def _sign(values: Floats) -> Floats:
    return np.where(np.isnan(values) | (values == 0), values, np.sign(values))


OF_VALUES: dict[str, OfValues] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": _sign,
    "deg": np.degrees,
    "rad": np.radians,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}


def _days_in_month(at: datetime) -> int:
    after = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1, day=1)
    return (after - at.replace(day=1)).days


OF_MOMENTS: dict[str, Callable[[datetime], int]] = {
    "minute": lambda at: at.minute,
    "hour": lambda at: at.hour,
    "day_of_week": lambda at: (at.weekday() + 1) % 7,
    "day_of_month": lambda at: at.day,
    "day_of_year": lambda at: at.timetuple().tm_yday,
    "days_in_month": _days_in_month,
    "month": lambda at: at.month,
    "year": lambda at: at.year,
}


def of_moments(values: Floats, part: Callable[[datetime], int]) -> Floats:
    """That part of the moments that the values are, as seconds since 1970. NaN for those no calendar has."""

    def one(value: float) -> float:
        try:
            return float(part(datetime.fromtimestamp(int(value), UTC)))
        except (ValueError, OverflowError, OSError):
            return np.nan

    return np.vectorize(one, otypes=[np.float64])(values) if values.size else values


def rounded(values: Floats, nearest: Floats) -> Floats:
    """To multiples; of two that are as near, the higher."""
    inverse = 1.0 / nearest
    found: Floats = np.floor(values * inverse + 0.5) / inverse
    return found


def clamped(values: Floats, lower: Floats, upper: Floats) -> Floats:
    return np.where(np.isnan(values) | np.isnan(lower) | np.isnan(upper), np.nan, _between(values, lower, upper))


def _between(values: Floats, lower: Floats, upper: Floats) -> Floats:
    found: Floats = np.maximum(lower, np.minimum(upper, values))
    return found


def label_replace(vector: Vector, target: str, replacement: str, source: str, expression: str) -> Vector:
    """Raises QueryError."""
    try:
        options = re2.Options()
        options.dot_nl = True
        options.log_errors = False
        found = re2.compile(f"^(?:{expression})$", options)
    except re2.error:
        raise QueryError(f"invalid regular expression in label_replace(): {expression}") from None
    if not target:
        raise QueryError(f"invalid destination label name in label_replace(): {target}")
    labels, drops = [], []
    for each, dropped in zip(vector.labels, vector.drops, strict=True):
        match = found.fullmatch(value_of(each, source))
        drops.append(dropped and not (match and target == NAME))
        labels.append(labels_of({**dict(each), target: _expanded(replacement, match)}) if match else each)
    return merged(Vector(labels, vector.values, vector.there, drops))


def _expanded(template: str, match: re2._Match) -> str:
    """`$1`, `${1}`, `$name`, `${name}` and `$$`, as Go's regexp.Expand does it."""
    text, rest = "", template
    while rest:
        before, mark, rest = rest.partition("$")
        text += before
        if not mark:
            break
        if rest.startswith("$"):
            text, rest = text + "$", rest[1:]
            continue
        name, rest = _reference(rest)
        text += _group(match, name) if name else "$"
    return text


def _reference(rest: str) -> tuple[str, str]:
    if rest.startswith("{") and "}" in rest:
        name, _, after = rest[1:].partition("}")
        return name, after
    size = next((i for i, c in enumerate(rest) if not (c.isalnum() or c == "_")), len(rest))
    return rest[:size], rest[size:]


def _group(match: re2._Match, name: str) -> str:
    try:
        return str(match.group(int(name) if name.isdigit() else name) or "")
    except (IndexError, KeyError, re2.error):
        return ""


def label_join(vector: Vector, target: str, separator: str, sources: list[str]) -> Vector:
    """Raises QueryError."""
    if not target:
        raise QueryError(f"invalid destination label name in label_join(): {target}")
    labels = [
        labels_of({**dict(each), target: separator.join(value_of(each, source) for source in sources)})
        for each in vector.labels
    ]
    drops = [dropped and target != NAME for dropped in vector.drops]
    return merged(Vector(labels, vector.values, vector.there, drops))
