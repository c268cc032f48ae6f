"""Runs test scripts in the language of Prometheus's own (`load`, `eval`, `expect`) against this evaluator.

    AEREKOS_PROMQL_TESTS=DIR python -m services.metrics_manager.tests.promql_judge

where DIR has the `.test` files of Prometheus (`promql/promqltest/testdata` of its repository). Counted are classic
cases: those of native histograms, and of what the parser itself does not know yet, are told apart. Annotations
(`warn`, `info`) are not compared: there are none here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import promql_parser
import re2

from services.metrics_manager.promql.engine import query_instant, query_range
from services.metrics_manager.promql.errors import NotSupported, QueryError
from services.metrics_manager.promql.labels import Labels, labels_of, value_of
from services.metrics_manager.promql.matcher import Matcher
from services.metrics_manager.promql.parsing import selector_matchers
from services.metrics_manager.promql.values import STALE, Matrix, Series, Vector

NOT_CLASSIC = {
    "native_histograms.test",
    "extended_vectors.test",
    "duration_expression.test",
    "info.test",
    "start_timestamps.test",
    "type_and_unit.test",
}
STALE_NUMBER = np.array([STALE], dtype=np.int64).view(np.float64)[0]
_EVAL = re.compile(
    r"eval(?:_\w+)? (?:instant at (?P<at>\S+)"
    r"|range from (?P<start>\S+) to (?P<end>\S+) step (?P<step>\S+)) (?P<query>.*)$"
)
_POINT = re.compile(
    r"(?P<value>[-+]?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf))"
    r"(?P<by>[-+](?:[\d.]+(?:e[-+]?\d+)?|inf|nan))?(?:x(?P<times>\d+))?$",
    re.IGNORECASE,
)


class NativeHistogram(Exception):
    """The script speaks of what is not classic."""


@dataclass
class MemorySource:
    """Series in memory, as `SampleSource`."""

    series: dict[Labels, list[tuple[int, float]]] = field(default_factory=dict)

    def add(self, labels: Labels, samples: Sequence[tuple[int, float]]) -> None:
        known = dict(self.series.get(labels, ()))
        known.update(samples)
        self.series[labels] = sorted(known.items())

    def select(self, alternatives: Sequence[Sequence[Matcher]], start: int, end: int) -> list[Series]:
        found = []
        for labels, samples in sorted(self.series.items()):
            if any(all(matches(labels, each) for each in group) for group in alternatives):
                chosen = [each for each in samples if start <= each[0] <= end]
                times = np.array([each[0] for each in chosen], dtype=np.int64)
                found.append(Series(labels, times, np.array([each[1] for each in chosen], dtype=np.float64)))
        return found


def matches(labels: Labels, matcher: Matcher) -> bool:
    value = value_of(labels, matcher.name)
    if matcher.op in ("=", "!="):
        return (value == matcher.value) is (matcher.op == "=")
    options = re2.Options()
    options.dot_nl = True
    return (re2.compile(f"(?:{matcher.value})", options).fullmatch(value) is not None) is (matcher.op == "=~")


@dataclass
class Case:
    """One `eval` and what it expects."""

    line: int
    query: str
    at: int | None
    range: tuple[int, int, int] | None
    expected: list[str] = field(default_factory=list)
    fails: bool = False
    ordered: bool = False
    message: str = ""
    text: str | None = None
    spread: tuple[int, int, int] | None = None


def duration(text: str) -> int:
    """In ms; a plain number is seconds."""
    sign = -1 if text.startswith("-") else 1
    text = text.lstrip("-")
    if text.rstrip("smhd") == "0":
        return 0
    try:
        return sign * round(float(text) * 1000)
    except ValueError:
        return sign * round(promql_parser.parse_duration(text).total_seconds() * 1000)


def points(text: str) -> list[float | None]:
    """The values of a line. Raises NativeHistogram."""
    if "{{" in text:
        raise NativeHistogram
    found: list[float | None] = []
    for each in text.split():
        if each.startswith("_"):
            found += [None] * (int(each[2:]) if each.startswith("_x") else 1)
        elif each == "stale":
            found.append(STALE_NUMBER)
        else:
            found += _numbers(each)
    return found


def _numbers(text: str) -> list[float | None]:
    match = _POINT.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no point")
    value = float(match["value"])
    if match["times"] is None:
        return [value]
    by = float(match["by"] or 0)
    found: list[float | None] = []
    for _ in range(int(match["times"]) + 1):
        found.append(value)
        value += by
    return found


def split_series(line: str) -> tuple[Labels | None, str]:
    """The labels of a line and what follows them; None for a line that only has a number."""
    line = line.strip()
    if re.match(r"[^\s{]*{(?!{)", line):
        end = _closing(line)
        head, rest = line[: end + 1], line[end + 1 :]
    else:
        head, _, rest = line.replace("\t", " ").partition(" ")
        if _POINT.match(head) or head.startswith("_"):
            return None, line
    if head == "{}":
        return (), rest.strip()
    named = selector_matchers(head)[0]
    return labels_of((each.name, each.value) for each in named), rest.strip()


def _closing(line: str) -> int:
    quote = ""
    for i in range(line.index("{"), len(line)):
        c = line[i]
        if quote:
            quote = "" if c == quote and line[i - 1] != "\\" else quote
        elif c in "\"'`":
            quote = c
        elif c == "}":
            return i
    raise ValueError(line)


class Script:
    """One file, run from its beginning."""

    def __init__(self, path: Path) -> None:
        self.name, self._lines = path.name, path.read_text().splitlines()
        self.source = MemorySource()
        self.passed: list[int] = []
        self.failed: list[tuple[int, str, str]] = []
        self.refused: list[tuple[int, str]] = []
        self._native: set[str] = set()

    def run(self) -> None:
        for block in self._blocks():
            first, head = block[0]
            if head.startswith("clear"):
                self.source, self._native = MemorySource(), set()
            elif head.startswith("load"):
                self._load(head, block[1:])
            elif head.startswith("eval"):
                self._judge(self._case(first, head, block[1:]))

    def _blocks(self) -> Iterator[list[tuple[int, str]]]:
        block: list[tuple[int, str]] = []
        for number, raw in enumerate(self._lines, 1):
            line = raw.split("#")[0].rstrip() if raw.lstrip().startswith("#") else raw.rstrip()
            starts = re.match(r"(load|clear|eval)", line) is not None
            if (starts or not line.strip()) and block:
                yield block
                block = []
            if line.strip():
                block.append((number, line.strip()))
        if block:
            yield block

    def _load(self, head: str, lines: Sequence[tuple[int, str]]) -> None:
        step = duration(head.split()[1])
        for _, line in lines:
            labels, text = split_series(line)
            try:
                values = points(text)
            except NativeHistogram:
                self._native.add(value_of(labels or (), "__name__"))
                continue
            name = value_of(labels or (), "__name__")
            if "_with_nhcb" in head and name.endswith("_bucket"):
                self._native.add(name.removesuffix("_bucket"))
            found = [(i * step, value) for i, value in enumerate(values) if value is not None]
            self.source.add(labels or (), found)

    def _case(self, number: int, head: str, lines: Sequence[tuple[int, str]]) -> Case:
        match = _EVAL.match(head)
        assert match is not None, head
        at = duration(match["at"]) if match["at"] else None
        spread = (
            None if at is not None else (duration(match["start"]), duration(match["end"]), duration(match["step"]))
        )
        case = Case(number, match["query"], at, spread, fails="eval_fail" in head, ordered="eval_ordered" in head)
        for _, line in lines:
            if line.startswith("expect range vector"):
                words = line.split()
                case.spread = (duration(words[4]), duration(words[6]), duration(words[8]))
            elif line.startswith("expect fail") or line.startswith("expected_fail"):
                case.fails = True
            elif line.startswith("expect string"):
                case.text = str(query_instant(self.source, line.removeprefix("expect string").strip(), 0))
            elif line == "expect ordered":
                case.ordered = True
            elif not line.startswith("expect "):
                case.expected.append(line)
        return case

    def _judge(self, case: Case) -> None:
        if self._is_native(case):
            self.refused.append((case.line, "native histograms"))
            return
        try:
            fault = self._fault(case)
        except NotSupported as error:
            self.refused.append((case.line, str(error)))
            return
        if fault:
            self.failed.append((case.line, case.query, fault))
        else:
            self.passed.append(case.line)

    def _is_native(self, case: Case) -> bool:
        named = any(re.search(rf"\b{each}\b", case.query) for each in self._native)
        return named or any("{{" in each for each in case.expected)

    def _fault(self, case: Case) -> str:
        try:
            value = self._evaluated(case)
        except NotSupported:
            raise
        except QueryError as error:
            if 'invalid parameter "query"' in str(error) and not case.fails:
                raise NotSupported(f"the syntax of {case.query!r}: {error}") from None
            return "" if case.fails else f"refused: {error}"
        if case.fails:
            return "it was to fail"
        if isinstance(value, str):
            return "" if value == case.text else f"{value!r}"
        return self._difference(case, value)

    def _evaluated(self, case: Case) -> Any:
        if case.at is not None:
            return query_instant(self.source, case.query, case.at)
        assert case.range is not None
        return query_range(self.source, case.query, *case.range)

    def _difference(self, case: Case, value: Any) -> str:
        expected = [split_series(each) for each in case.expected]
        if isinstance(value, Matrix):
            got = {w.labels: [float(v) for v in w.values[w.first[0] : w.last[0]]] for w in value.windows}
            for labels, text in expected:
                wanted = [each for each in points(text) if each is not None]
                if not _alike(got.pop(labels or (), []), wanted):
                    return f"another range of {labels}"
            return f"unexpected {list(got)}" if got else ""
        if isinstance(value, np.ndarray):
            value = Vector([()], value.reshape(1, -1), np.ones((1, len(value)), dtype=bool))
            expected = [(labels or (), text) for labels, text in expected]
        return self._vector_difference(case, value, expected)

    def _vector_difference(self, case: Case, value: Vector, expected: list[tuple[Labels | None, str]]) -> str:
        got = {
            labels: [float(v) if t else None for v, t in zip(values, there, strict=True)]
            for labels, values, there in zip(value.labels, value.values, value.there, strict=True)
            if there.any()
        }
        order = list(got)
        if case.ordered and order != [labels or () for labels, _ in expected]:
            return f"another order: {order}"
        steps = value.values.shape[1]
        for labels, text in expected:
            wanted = points(text)
            wanted += [None] * (steps - len(wanted))
            have = got.pop(labels or (), None)
            if have is None:
                if any(each is not None for each in wanted):
                    return f"missing {labels}, there are {order}"
                continue
            if not _alike(have, wanted):
                return f"{labels}: {have} and not {wanted}"
        return f"unexpected {got}" if got else ""


def _alike(got: Sequence[float | None], wanted: Sequence[float | None]) -> bool:
    return len(got) == len(wanted) and all(_same(a, b) for a, b in zip(got, wanted, strict=True))


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    if np.isnan(a) or np.isnan(b):
        return bool(np.isnan(a) and np.isnan(b))
    return a == b or abs(a - b) <= 1e-6 * (abs(a) + abs(b)) or abs(a - b) < 1e-300


def main(folder: Path) -> int:
    passed = failed = refused = 0
    for path in sorted(folder.glob("*.test")):
        if path.name in NOT_CLASSIC:
            continue
        script = Script(path)
        script.run()
        passed, failed = passed + len(script.passed), failed + len(script.failed)
        refused += len(script.refused)
        counts = f"{len(script.passed)} passed, {len(script.failed)} failed, {len(script.refused)} not classic"
        print(f"{path.name}: {counts}")
        for line, query, why in script.failed:
            print(f"  {path.name}:{line}: {query}\n      {why[:400]}")
        if os.environ.get("AEREKOS_PROMQL_REFUSED"):
            for line, why in script.refused:
                print(f"  {path.name}:{line}: not classic: {why[:160]}")
    share = 100 * passed / max(passed + failed, 1)
    print(f"{passed} of {passed + failed} classic cases pass ({share:.1f} %), {refused} are not classic")
    return 0 if share >= 98 else 1


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["AEREKOS_PROMQL_TESTS"])))
