"""Labels of a series: pairs of name and value, sorted by name, `__name__` among them; empty values are no labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

Labels = tuple[tuple[str, str], ...]
NAME = "__name__"


def labels_of(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Sorted, and without those that are empty."""
    found = dict(pairs)
    return tuple(sorted((name, value) for name, value in found.items() if value))


def value_of(labels: Labels, name: str) -> str:
    """The empty string where there is none."""
    return next((value for each, value in labels if each == name), "")


def only(labels: Labels, names: Collection[str]) -> Labels:
    return tuple(each for each in labels if each[0] in names)


def without(labels: Labels, names: Collection[str]) -> Labels:
    return tuple(each for each in labels if each[0] not in names)


def without_name(labels: Labels) -> Labels:
    return tuple(each for each in labels if each[0] != NAME)


def written(labels: Labels) -> str:
    """As Prometheus writes them: `name{a="b", c="d"}`."""
    rest = ", ".join(f"{name}={_quoted(value)}" for name, value in labels if name != NAME)
    name = value_of(labels, NAME)
    return f"{name}{{{rest}}}" if rest or not name else name


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
