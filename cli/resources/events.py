"""`aerekos events`: what happened, in the order it did, each with its age; once, or as it comes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from cli.api_client import ApiClient
from cli.errors import NotReachable
from cli.output import as_yaml, complain, say
from cli.resources import get, kinds
from cli.tables import grid, padded

HEADER = ("LAST SEEN", "COUNT", "TYPE", "REASON", "ABOUT", "MESSAGE")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
Now = Callable[[], datetime]


def show(api: ApiClient, namespace: str | None, about: str, output: str, *, watch: bool) -> None:
    """Prints them, oldest first. `about`: KIND/NAME or NAME; `namespace` None: of all."""
    found = kinds.discover(api)
    fields = _selector(found, about)
    wanted = get.GetOptions(found.called("events"), namespace, (), "", fields, get.Look("json"))
    if watch:
        follow(api, wanted, output)
        return
    events = by_time(get.items(api, wanted))
    if output != "table":
        get.show_objects(events, output, single=False)
    else:
        say(event_grid(events, about=True)) if events else complain("no events")


def _selector(known: kinds.Kinds, about: str) -> str:
    """Raises Misuse for a kind that is none."""
    kind, slash, name = about.rpartition("/")
    parts = [f"involvedObject.name={name}"] if name else []
    if slash:
        parts.append(f"involvedObject.kind={known.stored(known.called(kind)).kind}")
    return ",".join(parts)


def follow(api: ApiClient, wanted: get.GetOptions, output: str) -> None:
    """Show the events there are, then each as it happens, until interrupted."""
    printer = Printer(output)
    while True:
        listing = api.get(wanted.kind.path(wanted.namespace), params=wanted.params)
        for each in by_time(listing["items"]):
            printer.show(each)
        revision = str(listing["metadata"].get("resourceVersion", ""))
        with suppress(NotReachable):
            for event in get.events_after(api, wanted, revision):
                if event["type"] != "DELETED":  # swept away after an hour: that is no news
                    printer.show(event["object"])


class Printer:
    """One line per event, in the columns of the whole table; each count of an event once."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._shown: dict[str, str] = {}
        self._widths = [len(each) for each in HEADER]

    def show(self, event: dict[str, Any]) -> None:
        uid, version = event["metadata"].get("uid", ""), event["metadata"].get("resourceVersion", "")
        if self._shown.get(uid) == version:
            return
        first = not self._shown
        self._shown[uid] = version
        if self._output == "json":
            say(json.dumps(event, ensure_ascii=False))
        elif self._output == "yaml":
            say(f"---\n{as_yaml(event)}")
        else:
            self._line([*HEADER]) if first else None
            self._line([str(each) for each in row(event, _now())])

    def _line(self, cells: list[str]) -> None:
        # A column grows with what it has to hold, and stays so.
        self._widths = [max(a, len(b)) for a, b in zip(self._widths, cells, strict=True)]
        say(padded(cells, self._widths))


def by_time(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Causes before effects: by the microsecond, and what happened in the same one by who wrote it down first."""
    return sorted(events, key=lambda each: (happened_at(each), _revision(each)))


def happened_at(event: dict[str, Any]) -> datetime:
    """When it last happened, as precisely as it says."""
    series = event.get("series") or {}
    meta = event["metadata"]
    counted = (event.get("count") or 1) > 1
    precise = series.get("lastObservedTime") or (None if counted else event.get("eventTime"))
    told = precise or event.get("lastTimestamp") or event.get("eventTime") or meta.get("creationTimestamp")
    try:
        return datetime.fromisoformat(str(told)).astimezone(UTC)
    except ValueError:
        return _LONG_AGO


def _revision(event: dict[str, Any]) -> int:
    text = str(event["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdecimal() else 0


def row(event: dict[str, Any], now: datetime) -> list[Any]:
    """The cells of HEADER."""
    of = event.get("involvedObject") or {}
    return [
        age((now - happened_at(event)).total_seconds()),
        event.get("count") or 1,
        event.get("type", ""),
        event.get("reason", ""),
        f"{str(of.get('kind', '')).lower()}/{of.get('name', '')}",
        event.get("message", ""),
    ]


def event_grid(events: Sequence[dict[str, Any]], *, about: bool = False, now: Now | None = None) -> str:
    """Events as a table; `about` says too which resource each is about."""
    at = (now or _now)()
    chosen = [index for index, name in enumerate(HEADER) if about or name != "ABOUT"]
    rows = [[row(each, at)[index] for index in chosen] for each in events]
    return grid([HEADER[index] for index in chosen], rows) if rows else "<none>"


def age(seconds: float) -> str:
    """`12s`, `5m`, `3h`, `2d`: as short as kubectl's. What comes from a clock that is ahead is now."""
    whole = max(int(seconds), 0)
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "m"), (172_800, 3600, "h")):
        if whole < limit:
            return f"{whole // size}{unit}"
    return f"{whole // 86_400}d"


def _now() -> datetime:
    return datetime.now(UTC)
