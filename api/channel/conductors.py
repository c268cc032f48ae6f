"""Which conductor leads, and where all others are reached, as one line of the channel: `["conductors", {...}]`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Leadership:
    """What a conductor knows of the lead. `leads`: it has it, or had it when it last heard from the store. `leader`:
    the URL of another conductor that has it; empty without one. `others`: the URLs of all conductors of this cloud
    but itself. `sure`: nobody else can have taken the lead since this was found out.
    """

    leads: bool = True
    leader: str = ""
    others: tuple[str, ...] = ()
    sure: bool = True


class Conductors:
    """What this conductor knows of the lead now; each gateway hears of it as it changes."""

    def __init__(self, now: Leadership = Leadership()) -> None:
        self.now = now
        self._told: set[Callable[[bytes], None]] = set()

    def use(self, now: Leadership) -> None:
        """From now on."""
        if now != self.now:
            self.now = now
            for tell in tuple(self._told):
                tell(conductors_line(now))

    @contextmanager
    def told(self, tell: Callable[[bytes], None]) -> Iterator[None]:
        """`tell` gets the line now, and each time that it changes."""
        self._told.add(tell)
        tell(conductors_line(self.now))
        try:
            yield
        finally:
            self._told.discard(tell)


def conductors_line(now: Leadership) -> bytes:
    """The line."""
    return orjson.dumps(["conductors", asdict(now)], option=orjson.OPT_APPEND_NEWLINE)


def read_conductors(fields: Mapping[str, Any]) -> Leadership:
    """What follows the word `conductors`. Raises KeyError."""
    others = tuple(map(str, fields["others"]))
    return Leadership(bool(fields["leads"]), str(fields["leader"]), others, bool(fields["sure"]))
