"""Addresses that workers of a Swarm report: who is believed, and what people are told of it."""

from __future__ import annotations

from collections.abc import Callable

from controller.kit.leases import Leases
from controller.kit.peers import Peer, Peers
from controller.store.records import Store
from crds.event_reasons import EventReason
from crds.kinds.worker import WORKER

Tell = Callable[..., None]


class PeerAddressBook:
    """Addresses that workers of the Swarm report of themselves; contested ones are refused. `tell(worker, reason,
    message, warning=...)` as `EventRecorder.tell`.
    """

    def __init__(self, store: Store, leases: Leases, peers: Peers, tell: Tell | None = None) -> None:
        self._store, self._leases, self._peers, self._tell = store, leases, peers, tell
        self._contested: dict[str, str] = {}

    def take(self, told: Peer) -> bool:
        """Whether it is believed. Before its beat is counted: how long it was silent is part of the news.

        An identity belongs to the first worker that was known by it until that one's record is deleted, also while it
        is silent: all machines send there what is for that one.
        """
        if told == self._peers.get(told.worker):
            return True
        holder = self._holder(told)
        if holder:
            both = f"{told.worker} and {holder} are both known by {told.identity}"
            self._refuse(
                told,
                EventReason.IDENTITY_CONFLICT,
                f"{both}; only {holder} is followed when it moves: remove the worker that is gone",
            )
            return False
        self._contested.pop(told.worker, None)
        if before := self._peers.take(told):
            self._tell_of_move(before, told)
        return True

    def refuse(self, told: Peer, why: str) -> None:
        """Refuse what a worker says of its addresses."""
        self._refuse(told, EventReason.ADDRESS_REJECTED, f"{told.worker} is not followed when it moves: {why}")

    def _holder(self, told: Peer) -> str:
        """Who else is known by that identity; empty when nobody is."""
        known = self._peers.holder(told.identity)
        if known is not None and known.worker != told.worker:
            return known.worker
        for record in self._store.list(WORKER.group, WORKER.plural).records:
            noted = record.object.get("status", {}).get("identityAddress")
            if noted == told.identity and record.key.name != told.worker:
                return record.key.name
        return ""

    def _tell_of_move(self, before: Peer, told: Peer) -> None:
        silent = self._leases.age(told.worker)
        again = "" if silent is None else f"; heard again {silent:.1f} s after its last word from there"
        text = f"{told.worker}, known by {told.identity}, moved from {before.address} to {told.address}"
        self._say(told.worker, EventReason.ADDRESS_CHANGED, text + again)

    def _refuse(self, told: Peer, reason: EventReason, text: str) -> None:
        """Said once: it will claim so with every beat. What was believed of it before stays as it was."""
        if self._contested.get(told.worker) != text:
            self._contested[told.worker] = text
            self._say(told.worker, reason, text, warning=True)

    def _say(self, worker: str, reason: EventReason, text: str, *, warning: bool = False) -> None:
        record = self._store.get(WORKER.key(worker))
        if self._tell is not None and record is not None:
            self._tell(WORKER.decode(record.body), reason, text, warning=warning)
