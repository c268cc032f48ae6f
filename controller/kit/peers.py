"""The machines of a Swarm as their agents describe them: who is known by which address, and where it is now.

In memory only, like leases: every beat says it again. Agents are told the whole list when its version is not theirs.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Peer:
    """`identity`: the address Swarm knows it by. `public_key`: base64 of Ed25519, which signs its announcements.

    `encrypts`: whether its kernel can encrypt overlay networks; None while that is not known.
    """

    worker: str
    node_id: str
    identity: str
    address: str
    manager: bool
    public_key: str
    sequence: int
    leaving: bool = False
    encrypts: bool | None = None

    def wire(self) -> dict[str, Any]:
        """The peer as other agents are told of it."""
        told = {"worker": self.worker, "identity": self.identity, "address": self.address, "manager": self.manager}
        return {**told, "publicKey": self.public_key, "sequence": self.sequence}

    def shown(self) -> dict[str, Any]:
        """What people may see: everything but the key, which tells them nothing."""
        told = {"nodeId": self.node_id, "identity": self.identity, "address": self.address, "manager": self.manager}
        return {**told, "leaving": self.leaving, "sequence": self.sequence}


class Peers:
    """Every worker as a peer, by name. `version` changes with everything others must know, and with every start of
    this process.
    """

    def __init__(self) -> None:
        self._known: dict[str, Peer] = {}
        self._began, self._changes = secrets.token_hex(4), 0

    def __iter__(self) -> Iterator[Peer]:
        return iter(list(self._known.values()))

    @property
    def version(self) -> str:
        return f"{self._began}.{self._changes}"

    def take(self, told: Peer) -> Peer | None:
        """A worker speaks of itself; what was known of it when it has moved since, otherwise None.

        One that counts backwards has lost its past: it is believed again when it has moved since, or has a new key.
        An identity belongs to one worker, the last that is taken; ask `holder` first.
        """
        known = self._known.get(told.worker)
        if known == told or _is_older(told, known):
            return None
        holder = self.holder(told.identity)
        if holder is not None and holder.worker != told.worker:
            self.forget(holder.worker)
        self._known[told.worker] = told
        if known is None or replace(known, leaving=told.leaving, encrypts=told.encrypts) != told:
            self._changes += 1
        has_moved = known is not None and known.identity == told.identity and known.address != told.address
        return known if has_moved else None

    def holder(self, identity: str) -> Peer | None:
        """The worker that is known by that address."""
        return next((each for each in self._known.values() if each.identity == identity), None)

    def all_encrypt(self) -> bool | None:
        """Whether every machine can encrypt overlay networks; None while one has not said, or there is none."""
        told = {each.encrypts for each in self}
        return False if False in told else True if told == {True} else None

    def get(self, worker: str) -> Peer | None:
        return self._known.get(worker)

    def forget(self, worker: str) -> None:
        """Drop a worker whose record was deleted."""
        if self._known.pop(worker, None) is not None:
            self._changes += 1

    def news_since(self, version: str) -> Mapping[str, Any]:
        """Peers for the answer to a beat of somebody who knows `version`: nothing, or everything."""
        if version == self.version:
            return {}
        return {"peersVersion": self.version, "peers": [self._known[name].wire() for name in sorted(self._known)]}


def _is_older(told: Peer, known: Peer | None) -> bool:
    return known is not None and known.public_key == told.public_key and told.sequence < known.sequence
