"""Endpoints: where instances answer, as the runtime driver reported it. In memory only: who routes requests believes
this table, never a stored status, which is for people to read.

Fed by the Service reconciler with each look at the driver; read by the gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from controller.runtime.driver import ObservedInstance
from crds.meta import ObjectKey


class Endpoint(NamedTuple):
    """One instance and where it listens (`host:port`)."""

    instance: str
    address: str


class Endpoints:
    """Ready instances by workload. A Service made anew under an old name has another uid, and starts with none."""

    def __init__(self) -> None:
        self._known: dict[ObjectKey, tuple[str, tuple[Endpoint, ...]]] = {}

    def report(self, key: ObjectKey, uid: str, seen: Sequence[ObservedInstance]) -> None:
        """Take what the driver sees of that workload now, in place of what it saw before."""
        ready = tuple(Endpoint(each.name, each.address) for each in seen if each.ready and each.address)
        self._known[key] = (uid, ready)

    def forget(self, key: ObjectKey) -> None:
        """Nothing of it is there any more."""
        self._known.pop(key, None)

    def ready(self, key: ObjectKey, uid: str) -> tuple[Endpoint, ...]:
        """The ready instances of the Service with that uid; none when the driver has not told of it yet."""
        known = self._known.get(key)
        return known[1] if known is not None and known[0] == uid else ()
