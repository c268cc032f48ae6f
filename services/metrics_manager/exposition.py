"""The text format of Prometheus, read fast: a line that was there before is known by all but its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from services.metrics_manager.promql.labels import NAME, Labels, labels_of

MOST_LABELS, LONGEST_VALUE = 40, 2_048


class Line(NamedTuple):
    """A sample: number of its series, time in ms where the line said one, value."""

    series: int
    time: int | None
    value: float


class Metadata(NamedTuple):
    """Of a family: `counter`, `gauge`, `histogram`, `summary` or `unknown`, and what it says of itself."""

    type: str
    help: str


class ExpositionFault(Exception):
    """The answer is not in that format, or has more than is taken."""


class ExpositionReader:
    """Of one target. `series_of` gives the number of a series with these labels, as the target has them."""

    def __init__(self, series_of: Callable[[Labels], int], metadata: dict[str, Metadata]) -> None:
        self._series_of, self._metadata = series_of, metadata
        self._known: dict[str, int] = {}
        self._comments: set[str] = set()

    def read(self, text: str, limit: int) -> list[Line]:
        """Raises ExpositionFault, TooManySeries."""
        found: list[Line] = []
        used: dict[str, int] = {}
        for line in text.split("\n"):
            if not line or line.startswith("#"):
                self._note(line)
                continue
            if len(found) >= limit:
                raise ExpositionFault(f"there are more than {limit} samples, which is the limit")
            found.append(self._line(line.strip(), used))
        self._known = used
        return found

    def _line(self, line: str, used: dict[str, int]) -> Line:
        key, _, number = line.rpartition(" ")
        id = self._known.get(key)
        if id is None:
            labels, time, value = _parsed(line)
            id = self._series_of(labels)
            if time is not None:
                return Line(id, time, value)
            used[key] = id
            return Line(id, None, value)
        used[key] = id
        try:
            return Line(id, None, float(number))
        except ValueError:
            raise ExpositionFault(f"{number[:80]!r} is no number") from None

    def _note(self, line: str) -> None:
        """`# TYPE name type` and `# HELP name text`."""
        if not line or line in self._comments or len(self._comments) > 10_000:
            return
        self._comments.add(line)
        words = line.split(" ", 3)
        if len(words) < 4 or words[1] not in ("TYPE", "HELP"):
            return
        known = self._metadata.get(words[2], Metadata("unknown", ""))
        if words[1] == "TYPE":
            self._metadata[words[2]] = known._replace(type=words[3].strip().replace("untyped", "unknown"))
        else:
            self._metadata[words[2]] = known._replace(help=words[3][:512])


def _parsed(line: str) -> tuple[Labels, int | None, float]:
    """Raises ExpositionFault."""
    try:
        sample = next(_samples(line))
    except (ValueError, StopIteration) as error:
        raise ExpositionFault(f"{line[:120]!r} is no sample: {error}") from None
    if len(sample.labels) > MOST_LABELS or any(len(each) > LONGEST_VALUE for each in sample.labels.values()):
        raise ExpositionFault(f"{line[:120]!r} has more labels, or longer ones, than are taken")
    time = None if sample.timestamp is None else round(float(sample.timestamp) * 1000)
    return labels_of({**sample.labels, NAME: sample.name}), time, float(sample.value)


def _samples(line: str) -> Iterator[Any]:
    for family in text_string_to_metric_families(line + "\n"):
        yield from family.samples
