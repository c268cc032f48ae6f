"""Queries of CloudWatch Logs Insights, as they were understood, and lines as they see them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from services.logs_manager.logql.stages import text_of_json

Row = dict[str, str]
Test = Callable[["Record"], bool]


class Record:
    """One line, as a query sees it. `at` in ns; what is not among `own` is looked for in its JSON."""

    __slots__ = ("_fields", "at", "own")

    def __init__(self, at: int, message: str, stream: str, group: str, arrived: int) -> None:
        self.at = at
        self.own = {
            "@timestamp": said_time(at),
            "@message": message,
            "@logStream": stream,
            "@log": group,
            "@ingestionTime": said_time(arrived * 1_000_000),
        }
        self._fields: Any = None

    def get(self, name: str) -> str:
        if (known := self.own.get(name)) is not None:
            return known
        if self._fields is None:
            try:
                self._fields = orjson.loads(self.own["@message"])
            except ValueError:
                self._fields = {}
        value: Any = self._fields
        if isinstance(value, dict) and name in value:
            return text_of_json(value[name])
        for part in name.split("."):
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                return ""
        return text_of_json(value)


def said_time(ns: int) -> str:
    """`2026-01-31 12:00:00.123`."""
    at = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{ns // 1_000_000 % 1000:03d}"


class Shown(NamedTuple):
    """A column. `value`: what it shows of a line. `is_renamed`: its name was given by `as`."""

    name: str
    value: Callable[[Record], str]
    is_renamed: bool = False


class Aggregate(NamedTuple):
    name: str
    function: str
    field: str


class Query(NamedTuple):
    """`sort`: names of columns, each with whether it is descending. `aggregates` and `by` are of stats; of that,
    `shown` are some of its columns, or none for all of them.
    """

    shown: tuple[Shown, ...]
    tests: tuple[Test, ...]
    sort: tuple[tuple[str, bool], ...]
    limit: int
    aggregates: tuple[Aggregate, ...]
    by: tuple[Shown, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the newest, or the oldest, lines that fit are all it asks for."""
        return not self.aggregates and (not self.sort or [name for name, _ in self.sort] == ["@timestamp"])

    @property
    def newest_first(self) -> bool:
        return not self.sort or self.sort[0][1]

    def fits(self, record: Record) -> bool:
        return all(test(record) for test in self.tests)
