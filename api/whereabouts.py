"""Where the workers of a Swarm say they are: who is believed, and what people are told of it."""

from __future__ import annotations

from collections.abc import Callable

from controller.kit.leases import Leases
from controller.kit.peers import Peer, Peers
from controller.store.records import Store
from crds.kinds.worker import WORKER

Tell = Callable[..., None]


class Whereabouts:
    """Of workers that speak for themselves. `tell(worker, reason, message, warning=...)` as `EventTeller.tell`."""

    def __init__(self, store: Store, leases: Leases, peers: Peers, tell: Tell | None = None) -> None:
        self._store, self._leases, self._peers, self._tell = store, leases, peers, tell
        self._contested: dict[str, str] = {}

    def take(self, told: Peer) -> None:
        """Before its beat is counted: how long it was silent is part of the news.

        An identity that somebody who lives is known by is not believed: all machines send there what is for that one.
        """
        if told == self._peers.get(told.worker):
            return
        holder = self._peers.holder(told.identity)
        if holder is not None and holder.worker != told.worker and self._leases.expires_in(holder.worker) > 0:
            self._refuse(told, holder)
            return
        self._contested.pop(told.worker, None)
        if before := self._peers.take(told):
            self._tell_of_move(before, told)

    def _tell_of_move(self, before: Peer, told: Peer) -> None:
        silent = self._leases.age(told.worker)
        again = "" if silent is None else f"; heard again {silent:.1f} s after its last word from there"
        text = f"{told.worker}, known by {told.identity}, moved from {before.address} to {told.address}"
        self._say(told.worker, "AddressChanged", text + again)

    def _refuse(self, told: Peer, holder: Peer) -> None:
        """Said once: it will claim so with every beat."""
        if self._contested.get(told.worker) == holder.worker:
            return
        self._contested[told.worker] = holder.worker
        both = f"{told.worker} and {holder.worker} are both known by {told.identity}"
        text = f"{both}; only {holder.worker} is followed when it moves: remove the worker that is gone"
        self._say(told.worker, "IdentityTaken", text, warning=True)

    def _say(self, worker: str, reason: str, text: str, *, warning: bool = False) -> None:
        record = self._store.get(WORKER.key(worker))
        if self._tell is not None and record is not None:
            self._tell(WORKER.parse(record.body), reason, text, warning=warning)
