"""Leases: who has been heard from, and how long ago. In memory only.

A worker beats once a second. Its lease is lost when three beats in a row were missed: the third would have
come at 3 s, and half a second more is granted for a slow network. Heartbeats write no records; the worker
reconciler reads this and writes one when the truth changes. Callers: the API (beats), the worker reconciler,
`GET /agents/leases`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import anyio

from controller.kit.clock import Clock
from controller.kit.peers import Peer

BEAT_PERIOD = 1.0
MISSED_BEATS = 3
LEASE_SECONDS = 3.5


class Usage(NamedTuple):
    """CPU in cores; memory, disk and network totals in bytes."""

    cpu: float = 0.0
    memory: float = 0.0
    disk: float = 0.0
    network_received: float = 0.0
    network_sent: float = 0.0


class HeartbeatLease(NamedTuple):
    """The last beat of one worker. `heard_at` is monotonic seconds; `services`: instance → {cpu, memory}.

    `swarm`: what it says of itself as a node of a Swarm. `clock_skew`: seconds its clock is ahead of ours (the way
    of the message included), None when it does not say.
    """

    worker: str
    heard_at: float
    usage: Usage = Usage()
    addresses: tuple[str, ...] = ()
    services: Mapping[str, Mapping[str, float]] = MappingProxyType({})
    swarm: Peer | None = None
    clock_skew: float | None = None


class Leases:
    """One lease per worker; bounded by the number of workers, because only registered ones may beat."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leases: dict[str, HeartbeatLease] = {}
        self._lost: set[str] = set()
        self._first_beat = anyio.Event()
        self._began_at = clock.monotonic()

    def begin(self) -> None:
        """Beats can be heard from now on: silence before counts against nobody."""
        self._began_at = self._clock.monotonic()

    def beat(
        self,
        worker: str,
        usage: Usage | None = None,
        addresses: Sequence[str] = (),
        services: Mapping[str, Mapping[str, float]] | None = None,
        swarm: Peer | None = None,
        clock: float | None = None,
    ) -> None:
        """Record a heartbeat. The newest beat replaces the one before. `clock`: what its clock said, in seconds since
        1970.
        """
        now = self._clock.monotonic()
        skew = None if clock is None else clock - self._clock.now().timestamp()
        told = dict(services or {})
        self._leases[worker] = HeartbeatLease(worker, now, usage or Usage(), tuple(addresses), told, swarm, skew)
        self._lost.discard(worker)
        self._first_beat.set()

    def get(self, worker: str) -> HeartbeatLease | None:
        """The last beat, or None when there was none since this process began."""
        return self._leases.get(worker)

    def age(self, worker: str) -> float | None:
        """Seconds since the last beat, or None when never heard."""
        lease = self._leases.get(worker)
        return None if lease is None else self._clock.monotonic() - lease.heard_at

    def expires_in(self, worker: str) -> float:
        """Seconds until the lease is lost; zero or less when it is.

        A worker never heard counts as heard when this process began to listen: after a restart of the conductor
        nobody is NotReady before it had the time to beat.
        """
        lease = self._leases.get(worker)
        heard_at = self._began_at if lease is None else lease.heard_at
        return heard_at + LEASE_SECONDS - self._clock.monotonic()

    def forget(self, worker: str) -> None:
        """Drop the lease of a worker whose record was deleted."""
        self._leases.pop(worker, None)
        self._lost.discard(worker)

    async def watch(self, lost: Callable[[str], None]) -> None:
        """Call `lost` once for each lease, at the moment it runs out. Until cancelled; at most one such task.

        Beats only push expiries away, so sleeping until the earliest known one is never too long, and a thousand
        living workers cost one short look at all of them every few seconds.
        """
        while True:
            held = [lease for name, lease in self._leases.items() if name not in self._lost]
            if not held:
                self._first_beat = anyio.Event()
                await self._first_beat.wait()
                continue
            now = self._clock.monotonic()
            for name in (each.worker for each in held if each.heard_at + LEASE_SECONDS <= now):
                self._lost.add(name)
                lost(name)
            left = min(each.heard_at for each in held) + LEASE_SECONDS - now
            await anyio.sleep(max(left, 0.0))

    def snapshot(self) -> tuple[HeartbeatLease, ...]:
        """Every lease, by name."""
        return tuple(self._leases[name] for name in sorted(self._leases))
