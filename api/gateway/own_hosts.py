"""The Host header that services hear: always a name or address of this cloud.

They make addresses of it that others go to, of a queue or of the certificate that proves a message, and whoever signs
a request signs any Host they like. The signature covers it as it came, and is verified before.
"""

from __future__ import annotations

from collections.abc import Sequence

from api.asgi import Scope
from api.gateway.bucket_hosts import OwnNames
from services.sdk.asgi import header_map

HOST = b"host"
_MOST_KNOWN = 1024
_UNNAMED = "localhost"
Instead = tuple[tuple[bytes, bytes], ...]


class OwnHosts:
    """`names`: names and addresses of this cloud, as they are now, a new sequence whenever they change."""

    def __init__(self, names: OwnNames) -> None:
        self._names = names
        self._read: Sequence[str] = ()
        self._known: dict[bytes | None, Instead] = {}

    def instead(self, scope: Scope) -> Instead:
        """The header that takes the place of the request's Host; none where that is one of ours.

        A bucket before a name of ours is no part of it. The port is the client's, for ports are mapped on the way.
        Where the Host is nobody here, it is the first name that others can reach.
        """
        told = header_map(scope).get(HOST)
        if self._read is not (names := self._names()):
            self._read = names
            self._known.clear()
        found = self._known.get(told)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[told] = self._judged((told or b"").decode("latin-1"))
        return found

    def _judged(self, told: str) -> Instead:
        name, port = _split(told.lower())
        if _bare(name) in self._read:
            return ()
        below = [each for each in self._read if name.removesuffix(".").endswith(f".{each}")]
        reached = [each for each in self._read if "." in each and not each.replace(".", "").isdigit()]
        chosen = next(iter([*sorted(below, key=len, reverse=True), *reached, *self._read]), _UNNAMED)
        host = f"[{chosen}]" if ":" in chosen else chosen
        return ((HOST, f"{host}{port}".encode()),)


def _split(host: str) -> tuple[str, str]:
    """Name, and port with its colon, which is empty where there is none."""
    name, colon, port = host.rpartition(":")
    return (name, f":{port}") if colon and port.isascii() and port.isdigit() and len(port) <= 5 else (host, "")


def _bare(name: str) -> str:
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name.removesuffix(".")
