"""Endpoints: where instances answer, as the runtime driver reported it. In memory only: who routes requests believes
this table, never a stored status, which is for people to read.

Fed by the Service reconciler with each look at the driver; read by the gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from controller.runtime.driver import ObservedInstance
from crds.meta import ObjectKey


class Endpoint(NamedTuple):
    """One instance and where it listens: `host:port`, and `socket`, the path of a socket of this machine, if it has
    one.
    """

    instance: str
    address: str
    socket: str = ""


Listener = Callable[[ObjectKey, str, tuple[Endpoint, ...]], object]


class Endpoints:
    """Ready instances by workload. A Service made anew under an old name has another uid, and starts with none."""

    def __init__(self) -> None:
        self._known: dict[ObjectKey, tuple[str, tuple[Endpoint, ...]]] = {}
        self._listeners: list[Listener] = []

    def report(self, key: ObjectKey, uid: str, seen: Sequence[ObservedInstance]) -> None:
        """Take what the driver sees of that workload now, in place of what it saw before."""
        ready = [each for each in seen if each.ready and each.address]
        self.put(key, uid, [Endpoint(each.name, each.address, each.socket) for each in ready])

    def put(self, key: ObjectKey, uid: str, ready: Sequence[Endpoint]) -> None:
        """These are the ready instances of that Service now."""
        now = (uid, tuple(ready))
        if self._known.get(key) == now:
            return
        self._known[key] = now
        for listener in self._listeners:
            listener(key, *now)

    def forget(self, key: ObjectKey) -> None:
        """Nothing of it is there any more."""
        known = self._known.pop(key, None)
        for listener in self._listeners if known else ():
            listener(key, known[0] if known else "", ())

    def all(self) -> dict[ObjectKey, tuple[str, tuple[Endpoint, ...]]]:
        """Every workload that was reported: its uid and its ready instances."""
        return dict(self._known)

    @contextmanager
    def told(self, listener: Listener) -> Iterator[None]:
        """`listener` hears of every change while the context lasts. It must not block."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def ready(self, key: ObjectKey, uid: str) -> tuple[Endpoint, ...]:
        """The ready instances of the Service with that uid; none when the driver has not told of it yet."""
        known = self._known.get(key)
        return known[1] if known is not None and known[0] == uid else ()
