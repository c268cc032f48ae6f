"""What this machine says of itself: its key, its identity address, where it is now, and how often it has moved."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.moving.announcing import Announcement
from agent.moving.translating import Place
from controller.kit.files import write_private

# Asked for a route only; nothing is sent (an address set aside for documentation, RFC 5737).
_ANYWHERE = "192.0.2.1"
_LOOPBACK = "lo"


@dataclass
class Oneself:
    """Kept in `file`: the private key, the last address and its sequence, which only grows."""

    file: Path
    worker: str
    identity: str
    key: Ed25519PrivateKey
    address: str
    sequence: int

    @property
    def place(self) -> Place:
        return Place(self.identity, self.address)

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    @property
    def announcement(self) -> bytes:
        """The datagram to send."""
        return Announcement(self.worker, self.identity, self.address, self.sequence).signed(self.key)

    def moved(self, address: str, milliseconds: int) -> None:
        """Durably, before anybody is told: a sequence must never be used twice."""
        self.address, self.sequence = address, max(milliseconds, self.sequence + 1)
        self.keep()

    def keep(self) -> None:
        seed = base64.b64encode(self.key.private_bytes_raw()).decode()
        kept = {"key": seed, "identity": self.identity, "address": self.address, "sequence": self.sequence}
        write_private(self.file, json.dumps(kept).encode())


def oneself(file: Path, worker: str, identity: str) -> Oneself:
    """As kept; with a new key when nothing was, and at home when the identity address is another one now."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(kept["key"]))
        sequence, same = int(kept["sequence"]), kept["identity"] == identity
        address = str(kept["address"]) if same else identity
    except (OSError, KeyError, TypeError, ValueError):
        key, sequence, address = Ed25519PrivateKey.generate(), 0, identity
    made = Oneself(file, worker, identity, key, address, sequence)
    made.keep()
    return made


def current_address(identity: str, towards: Iterable[str]) -> str | None:
    """Where this machine is now: its identity address while an interface has it, else the address it would use
    towards the others. None while it has none.
    """
    own = interface_addresses()
    if identity in own:
        return identity
    for target in (*towards, _ANYWHERE):
        source = _source(target)
        if source in own:
            return source
    return None


def interface_addresses() -> set[str]:
    """IPv4 addresses of every interface but the loopback."""
    listed = psutil.net_if_addrs().items()
    return {each.address for name, found in listed if name != _LOOPBACK for each in found if each.family == AF_INET}


def broadcasts() -> set[str]:
    """Where everybody on a network of ours listens."""
    listed = psutil.net_if_addrs().items()
    # Computed, not asked for: an address may be given without its broadcast address.
    return {
        str(ip_interface(f"{each.address}/{each.netmask}").network.broadcast_address)
        for name, found in listed
        if name != _LOOPBACK and not name.startswith(("docker", "veth", "br-"))
        for each in found
        if each.family == AF_INET and each.netmask and each.netmask != "255.255.255.255"
    }


def _source(target: str) -> str | None:
    with closing(socket(AF_INET, SOCK_DGRAM)) as probe:
        try:
            probe.connect((target, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])
