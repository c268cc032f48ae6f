"""The table of peers: who else is in the Swarm and where they are, told by the conductor, corrected by announcements,
kept on disk.

On disk, because an agent that starts while the conductor has just moved finds it only by what it knew before.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agent.addressing.announcement import Announcement, is_by, machine_address, parse
from agent.addressing.nat_rules import PeerAddress
from controller.kit.files import write_private
from crds.model import known_fields

# A conductor that has just begun lists only those it has heard already; the others are no strangers.
FORGET_SECONDS = 600.0
# Checking a signature takes a tenth of a millisecond, and who floods us must not have more than this of them.
FORGERIES_PER_SECOND = 50


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """`packet`: its last announcement as it came, for those who missed it; empty when the conductor told us."""

    worker: str
    identity: str
    address: str
    public_key: str
    sequence: int = 0
    packet: str = ""

    @property
    def peer_address(self) -> PeerAddress:
        return PeerAddress(self.identity, self.address, self.worker, self.sequence)


class PeerTable:
    """`own`: this worker's name, which is none of its own peers. `now` is monotonic seconds everywhere."""

    def __init__(self, file: Path, own: str) -> None:
        self._file, self._own = file, own
        self._known = {each.worker: each for each in _load(file)}
        self._forgotten_at: dict[str, float] = {}
        self._forgeries, self._second = 0, 0

    def __iter__(self) -> Iterator[PeerRecord]:
        return iter(list(self._known.values()))

    def replace_list(self, told: Iterable[Mapping[str, Any]], now: float) -> bool:
        """Take the conductor's list; what is known newer of a peer stays. Returns whether anything changed.

        Who is not listed stays for a while, unless a listed one has its place.
        """
        listed = {each.worker: each for entry in told if (each := _peer_record(entry)) and each.worker != self._own}
        taken = {place for each in listed.values() for place in (each.identity, each.address)}
        unlisted = {
            name: each
            for name, each in self._known.items()
            if name not in listed and not taken & {each.identity, each.address}
        }
        self._forgotten_at = {name: self._forgotten_at.get(name, now + FORGET_SECONDS) for name in unlisted}
        before, self._known = self._known, unlisted | {name: self._newer(each) for name, each in listed.items()}
        return self._known != before

    def apply_announcement(self, packet: bytes, now: float) -> PeerRecord | None:
        """The peer as a datagram from the network says it is now; None for everything that is not news."""
        try:
            told, signature = parse(packet)
        except ValueError:
            return None
        known = self._known.get(told.worker)
        if known is None or told.identity != known.identity or told.sequence <= known.sequence:
            return None
        if not self._is_genuine(told, signature, known, int(now)):
            return None
        return self._moved(known, told, packet)

    def expire(self, now: float) -> bool:
        """Forget peers the conductor has not listed for long. Returns whether there were any."""
        gone = [name for name, at in self._forgotten_at.items() if at <= now]
        for name in gone:
            del self._forgotten_at[name]
            self._known.pop(name, None)
        return bool(gone)

    def save(self) -> None:
        """Blocking."""
        write_private(self._file, json.dumps([asdict(each) for each in self]).encode())

    def _is_genuine(self, told: Announcement, signature: bytes, known: PeerRecord, second: int) -> bool:
        if second != self._second:
            self._forgeries, self._second = 0, second
        if self._forgeries >= FORGERIES_PER_SECOND:
            return False  # a genuine one comes again
        genuine = is_by(told, signature, base64.b64decode(known.public_key))
        self._forgeries += not genuine
        return genuine

    def _moved(self, known: PeerRecord, told: Announcement, packet: bytes) -> PeerRecord:
        now = replace(known, address=told.address, sequence=told.sequence, packet=packet.decode())
        self._known[told.worker] = now
        return now

    def _newer(self, told: PeerRecord) -> PeerRecord:
        known = self._known.get(told.worker)
        same = known is not None and (known.identity, known.public_key) == (told.identity, told.public_key)
        return known if known is not None and same and known.sequence >= told.sequence else told


def _peer_record(told: Mapping[str, Any]) -> PeerRecord | None:
    try:
        key = str(told["publicKey"])
        if len(base64.b64decode(key, validate=True)) != 32:
            return None
        identity, address = machine_address(told["identity"]), machine_address(told["address"])
        return PeerRecord(str(told["worker"]), identity, address, key, int(told["sequence"]))
    except (KeyError, TypeError, ValueError):
        return None  # IPv6, or a conductor of another version: nothing we could translate


def _load(file: Path) -> list[PeerRecord]:
    try:
        kept = [PeerRecord(**known_fields(PeerRecord, each)) for each in json.loads(file.read_text(encoding="utf-8"))]
        return [each for each in kept if _peer_record(_as_listed(each))]
    except (AttributeError, OSError, TypeError, ValueError):
        return []  # the conductor tells all of it again


def _as_listed(kept: PeerRecord) -> dict[str, Any]:
    return {**asdict(kept), "publicKey": kept.public_key}
