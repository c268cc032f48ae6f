"""What a query of Insights shows: rows of lines, or of groups. What is held meanwhile is counted in bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from services.logs_manager.insights import Aggregate, Query, Record, Row
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.logql.lexer import number_of

MOST_GROUPS, MOST_DISTINCT = 10_000, 200_000
"""Of a query; different values are counted over all its groups and aggregates."""
MOST_ANSWER, MOST_KEYS = 16 << 20, 16 << 20
"""Bytes of rows that a query answers with (twice as many are held while it reads), and of what groups are told by."""
CELL, AGGREGATE = 64, 200
"""What each value of a row, and each aggregate of a group, counts besides its text."""
Check = Callable[[], None]


def rows_of(query: Query, records: Iterable[Record], check: Check) -> list[Row]:
    """Of lines that fit. `check` is called for each of them, and raises what ends the query. Raises QueryFault."""
    best = _Best(query, check)
    for row in _counted(query, records, check) if query.aggregates else _shown(query, records, check):
        best.add(row)
    if query.aggregates and query.shown:
        names = [each.name for each in query.shown]
        return [{name: row[name] for name in names if name in row} for row in best.rows()]
    return best.rows()


def size_of(row: Row) -> int:
    """Bytes of it, of an answer: a text that two columns show is there twice."""
    return sum(CELL + len(name) + len(text) for name, text in row.items())


def _shown(query: Query, records: Iterable[Record], check: Check) -> Iterable[Row]:
    for record in records:
        check()
        row = {each.name: text for each in query.shown if (text := each.value(record))}
        for name, _ in query.sort:
            row.setdefault(name, record.get(name))
        yield row


class _Best:
    """The first rows in the order of the query: as many as it wants, of rows that come in any order."""

    def __init__(self, query: Query, check: Check) -> None:
        self._query, self._check = query, check
        self._held: list[Row] = []
        self._size = 0

    def add(self, row: Row) -> None:
        self._held.append(row)
        self._size += size_of(row)
        if len(self._held) >= 2 * self._query.limit + 100 or self._size > 2 * MOST_ANSWER:
            self._cut()

    def rows(self) -> list[Row]:
        self._cut()
        return self._held

    def _cut(self) -> None:
        """Rows that are alike stay in the order in which they came. Raises QueryFault."""
        for name, descending in reversed(self._query.sort):
            self._check()
            self._held.sort(key=lambda row, name=name: _key(row.get(name, "")), reverse=descending)  # type: ignore[misc]
        del self._held[self._query.limit :]
        self._size = sum(map(size_of, self._held))
        if self._size > MOST_ANSWER:
            raise QueryFault(
                f"what is found has more than {MOST_ANSWER >> 20} MiB: use a smaller limit, or fewer fields"
            )


def _key(text: str) -> tuple[bool, float, str]:
    """Numbers in the order of numbers, before texts."""
    number = number_of(text)
    return (number is None, math.inf if number is None else number, text)


def _counted(query: Query, records: Iterable[Record], check: Check) -> Iterable[Row]:
    groups: dict[tuple[str, ...], list[_Counting]] = {}
    held, distinct = 0, _Distinct(set())
    for record in records:
        check()
        key = tuple(each.value(record) for each in query.by)
        counting = groups.get(key)
        if counting is None:
            held += sum(CELL + len(text) for text in key) + AGGREGATE * len(query.aggregates)
            if len(groups) >= MOST_GROUPS or held > MOST_KEYS:
                raise QueryFault(
                    f"there are more than {MOST_GROUPS} groups, or more than {MOST_KEYS >> 20} MiB of what they are"
                    " told by: add filters, or group by less"
                )
            counting = groups[key] = [_Counting(each, len(groups), at) for at, each in enumerate(query.aggregates)]
        for each in counting:
            each.take(record, distinct)
    names = [each.name for each in query.by]
    for key, found in groups.items():
        yield {
            **dict(zip(names, key, strict=True)),
            **{each.of.name: text for each in found if (text := each.said())},
        }


class _Distinct(NamedTuple):
    """Values that were seen, by 64 bits of them: of a text of any length as many bytes."""

    seen: set[int]

    def is_new(self, group: int, aggregate: int, text: str) -> bool:
        """Raises QueryFault."""
        value = hash((group, aggregate, text))
        if value in self.seen:
            return False
        if len(self.seen) >= MOST_DISTINCT:
            raise QueryFault(
                f"count_distinct has more than {MOST_DISTINCT} values to tell apart: add filters, or take less time"
            )
        self.seen.add(value)
        return True


class _Counting:
    """One aggregate of one group."""

    __slots__ = ("_aggregate", "_group", "count", "most", "of", "total")

    def __init__(self, of: Aggregate, group: int, aggregate: int) -> None:
        self.of, self._group, self._aggregate = of, group, aggregate
        self.count, self.total = 0, 0.0
        self.most: float | None = None

    def take(self, record: Record, distinct: _Distinct) -> None:
        of = self.of
        text = record.get(of.field) if of.field else ""
        if of.function == "count":
            self.count += not of.field or bool(text)
        elif of.function == "count_distinct":
            self.count += bool(text) and distinct.is_new(self._group, self._aggregate, text)
        elif (value := number_of(text)) is not None:
            self._add(value)

    def _add(self, value: float) -> None:
        self.count += 1
        self.total += value
        best = {"min": min, "max": max}.get(self.of.function)
        if best is not None:
            self.most = value if self.most is None else best(self.most, value)

    def said(self) -> str:
        if self.of.function.startswith("count"):
            return str(self.count)
        if not self.count:
            return ""
        if self.most is not None:
            return said_number(self.most)
        return said_number(self.total / self.count if self.of.function == "avg" else self.total)


def said_number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"
