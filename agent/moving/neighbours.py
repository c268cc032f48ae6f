"""Who else is in the Swarm and where they are: told by the conductor, corrected by announcements, kept on disk.

On disk, because an agent that starts while the conductor has just moved finds it only by what it knew before.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from agent.moving.announcing import Announcement, is_by, read
from agent.moving.translating import Place
from controller.kit.files import write_private


@dataclass(frozen=True, slots=True)
class Neighbour:
    """`packet`: its last announcement as it came, for those who missed it; empty when the conductor told us."""

    worker: str
    identity: str
    address: str
    public_key: str
    sequence: int = 0
    packet: str = ""

    @property
    def place(self) -> Place:
        return Place(self.identity, self.address)


class Neighbours:
    """`own`: this worker's name, which is none of its own neighbours."""

    def __init__(self, file: Path, own: str) -> None:
        self._file, self._own = file, own
        self._known = {each.worker: each for each in _kept(file)}

    def __iter__(self) -> Any:
        return iter(list(self._known.values()))

    def take_list(self, told: Iterable[Mapping[str, Any]]) -> bool:
        """The conductor's whole list; what we know newer of somebody stays. Whether anything changed."""
        listed = [each for entry in told if (each := _neighbour(entry)) and each.worker != self._own]
        merged = {each.worker: self._newer(each) for each in listed}
        if merged == self._known:
            return False
        self._known = merged
        self._keep()
        return True

    def take(self, packet: bytes) -> Neighbour | None:
        """The neighbour as a datagram from the network says it is now; None for everything that is not news."""
        try:
            told, signature = read(packet)
        except ValueError:
            return None
        known = self._known.get(told.worker)
        if known is None or told.identity != known.identity or told.sequence <= known.sequence:
            return None
        if not is_by(told, signature, base64.b64decode(known.public_key)):
            return None
        return self._moved(known, told, packet)

    def _moved(self, known: Neighbour, told: Announcement, packet: bytes) -> Neighbour:
        now = replace(known, address=told.address, sequence=told.sequence, packet=packet.decode())
        self._known[told.worker] = now
        self._keep()
        return now

    def _newer(self, told: Neighbour) -> Neighbour:
        known = self._known.get(told.worker)
        same = known is not None and (known.identity, known.public_key) == (told.identity, told.public_key)
        return known if known is not None and same and known.sequence >= told.sequence else told

    def _keep(self) -> None:
        write_private(self._file, json.dumps([asdict(each) for each in self._known.values()]).encode())


def _neighbour(told: Mapping[str, Any]) -> Neighbour | None:
    try:
        key = str(told["publicKey"])
        if len(base64.b64decode(key, validate=True)) != 32:
            return None
        identity, address = str(IPv4Address(told["identity"])), str(IPv4Address(told["address"]))
        return Neighbour(str(told["worker"]), identity, address, key, int(told["sequence"]))
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None  # IPv6, or a conductor of another version: nothing we could translate


def _kept(file: Path) -> list[Neighbour]:
    try:
        return [Neighbour(**each) for each in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, TypeError, ValueError):
        return []  # the conductor tells all of it again
