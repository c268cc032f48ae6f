"""The text format of Prometheus, read fast: a line that was there before is known by all but its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from services.metrics_manager.promql.labels import NAME, Labels, labels_of
from services.metrics_manager.taking import LABELS_OF_SERIES, LONGEST_VALUE


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
    """Of one target. `series_of` gives the numbers of series with these labels, as the target has them: of all or
    none. `metadata`: what it says of its families.
    """

    def __init__(self, series_of: Callable[[Sequence[Labels]], list[int]]) -> None:
        self._series_of = series_of
        self.metadata: dict[str, Metadata] = {}
        self._known: dict[str, int] = {}
        self._comments: set[str] = set()

    def read(self, text: str, limit: int) -> list[Line]:
        """Raises ExpositionFault, TooManySeries."""
        found: list[Line] = []
        used: dict[str, int] = {}
        new: list[tuple[int, str, Labels]] = []
        for count, line in enumerate(text.split("\n"), 1):
            if not line or line.startswith("#"):
                self._note(line)
                continue
            if len(found) >= limit:
                raise ExpositionFault(f"there are more than {limit} samples, which is the limit")
            found.append(self._line(line.strip(), count, used, len(found), new))
        # Series are made once the whole answer could be read.
        for (place, key, _), id in zip(new, self._series_of([labels for _, _, labels in new]), strict=True):
            found[place] = found[place]._replace(series=id)
            if found[place].time is None:
                used[key] = id
        self._known = used
        return found

    def _line(
        self, line: str, count: int, used: dict[str, int], place: int, new: list[tuple[int, str, Labels]]
    ) -> Line:
        """Of one that was not there before the series is 0, and what it is, stands in `new`."""
        key, _, number = line.rpartition(" ")
        id = self._known.get(key)
        if id is None:
            labels, time, value = _parsed(line, count)
            new.append((place, key, labels))
            return Line(0, time, value)
        used[key] = id
        try:
            return Line(id, None, float(number))
        except ValueError:
            raise ExpositionFault(f"line {count} ends with no number") from None

    def _note(self, line: str) -> None:
        """`# TYPE name type` and `# HELP name text`."""
        if not line or line in self._comments or len(self._comments) > 10_000:
            return
        self._comments.add(line)
        words = line.split(" ", 3)
        if len(words) < 4 or words[1] not in ("TYPE", "HELP"):
            return
        known = self.metadata.get(words[2], Metadata("unknown", ""))
        if words[1] == "TYPE":
            self.metadata[words[2]] = known._replace(type=words[3].strip().replace("untyped", "unknown"))
        else:
            self.metadata[words[2]] = known._replace(help=words[3][:512])


def _parsed(line: str, count: int) -> tuple[Labels, int | None, float]:
    """Raises ExpositionFault: with the number of the line, for what stands in it may be somebody's secret."""
    try:
        sample = next(_samples(line))
    except (ValueError, StopIteration):
        raise ExpositionFault(f"line {count} is no sample in the text format of Prometheus") from None
    if len(sample.labels) > LABELS_OF_SERIES or any(len(each) > LONGEST_VALUE for each in sample.labels.values()):
        raise ExpositionFault(
            f"line {count} has over {LABELS_OF_SERIES} labels, or one of over {LONGEST_VALUE} characters"
        )
    time = None if sample.timestamp is None else round(float(sample.timestamp) * 1000)
    return labels_of({**sample.labels, NAME: sample.name}), time, float(sample.value)


def _samples(line: str) -> Iterator[Any]:
    for family in text_string_to_metric_families(line + "\n"):
        yield from family.samples
