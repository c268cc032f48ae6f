"""Limits on connections. Those that have proven nothing are many for an attacker and short-lived for everybody else.

A connection is proven once a request on it had good credentials. When there are too many unproven ones, from one
address or in all, the oldest of them goes: an honest client is done with its head before its turn comes. Proven ones
are never sent away; when they fill the process, nobody else is let in until one leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

EXTENSION = "aerekos.connection"
YOUNG_SECONDS = 0.25
"""So old must an unproven connection be before it makes room: a crowd that comes at once is no attack."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits in all and from one address; of the unproven, in all and from one address."""

    total: int = 20_000
    per_address: int = 10_000
    unproven: int = 2_048
    unproven_per_address: int = 1_024


def limits_for(connections: int) -> ConnectionLimits:
    """Limits for a process that may have so many connections."""
    unproven = max(min(connections // 2, 2_048), 1)
    return ConnectionLimits(connections, max(connections * 3 // 4, 1), unproven, max(min(unproven // 2, 1_024), 1))


class Connection:
    """One that was let in. `drop` ends it at once; `release` says that it has ended."""

    __slots__ = ("_connections", "address", "drop", "proven", "since")

    def __init__(self, connections: Connections, address: str, since: float) -> None:
        self._connections, self.address, self.since = connections, address, since
        self.proven = False
        self.drop: Callable[[], object] = _nothing

    def prove(self) -> None:
        """A request on it came from somebody known."""
        if not self.proven:
            self.proven = True
            self._connections.note_proven(self)

    def release(self) -> None:
        """Give a connection back that has ended; doing so again changes nothing."""
        self._connections.forget(self)
        self.drop = _nothing


def _nothing() -> None:
    """To end what has ended."""


class Connections:
    """All connections of one process, by address. Runs on the event loop only."""

    def __init__(self, limits: ConnectionLimits, now: Callable[[], float]) -> None:
        self._limits, self._now = limits, now
        self._counts: dict[str, int] = {}
        self._unproven: dict[str, dict[Connection, None]] = {}
        self._unproven_count = self._total = 0
        self._living: set[Connection] = set()
        self._changed = asyncio.Event()
        self.dropped = self.refused = 0

    def __len__(self) -> int:
        return self._total

    @property
    def unproven(self) -> int:
        """How many have proven nothing yet."""
        return self._unproven_count

    def admit(self, address: str) -> Connection | None:
        """A place for a new connection; None when its address has too many, or there is no place at all."""
        source, limits = source_of(address), self._limits
        if self._counts.get(source, 0) >= limits.per_address:
            self.refused += 1
            return None
        if len(self._unproven.get(source, ())) >= limits.unproven_per_address:
            self._drop_oldest(source)
        elif self._unproven_count >= limits.unproven:
            self._drop_oldest(self._most_unproven())
        if self._total >= limits.total and not (self._unproven and self._drop_oldest(self._most_unproven())):
            self.refused += 1
            return None
        connection = Connection(self, source, self._now())
        self._living.add(connection)
        self._total += 1
        self._counts[source] = self._counts.get(source, 0) + 1
        self._unproven.setdefault(source, {})[connection] = None
        self._unproven_count += 1
        return connection

    async def wait_for_room(self) -> None:
        """Wait until the next one may come in: proven ones have every place, or all who could go are young."""
        while (pause := self._pause()) != 0:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), pause)
            except TimeoutError:
                continue

    def drop_one(self) -> bool:
        """Whether the oldest unproven connection could be ended, to make room for something else."""
        return bool(self._unproven) and self._drop_oldest(self._most_unproven())

    def note_proven(self, connection: Connection) -> None:
        """Count a connection among the unproven no more."""
        self._forget_unproven(connection)
        self._changed.set()

    def forget(self, connection: Connection) -> None:
        """Drop a connection that has ended."""
        if connection not in self._living:
            return
        self._living.discard(connection)
        self._total -= 1
        self._counts[connection.address] -= 1
        if not self._counts[connection.address]:
            del self._counts[connection.address]
        self._forget_unproven(connection)
        self._changed.set()

    def _pause(self) -> float | None:
        """Seconds to wait before asking again; 0 when there is room, None when only a change can help."""
        limits = self._limits
        crowded = self._total >= limits.total or self._unproven_count >= limits.unproven
        if not crowded:
            return 0
        if not self._unproven:
            return None
        oldest = min(next(iter(each)).since for each in self._unproven.values())
        return max(oldest + YOUNG_SECONDS - self._now(), 0)

    def _most_unproven(self) -> str:
        return max(self._unproven, key=lambda source: len(self._unproven[source]))

    def _drop_oldest(self, source: str) -> bool:
        oldest = next(iter(self._unproven.get(source, ())), None)
        if oldest is None:
            return False
        self.dropped += 1
        self.forget(oldest)
        oldest.drop()
        return True

    def _forget_unproven(self, connection: Connection) -> None:
        among = self._unproven.get(connection.address)
        if among is not None and connection in among:
            del among[connection]
            self._unproven_count -= 1
            if not among:
                del self._unproven[connection.address]


def prove(scope: MutableMapping[str, Any]) -> None:
    """Note that somebody known makes this request: its connection is not one of the many."""
    connection = (scope.get("extensions") or {}).get(EXTENSION)
    if connection is not None and not connection.proven:
        connection.prove()


def source_of(address: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits, for one machine has all of it."""
    if ":" not in address:
        return address
    try:
        whole = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(whole, IPv6Address) and whole.ipv4_mapped:
        return str(whole.ipv4_mapped)
    return f"{IPv6Address(int(whole) >> 64 << 64)}/64"
