"""`make fuzz`: 10,000 idle connections at a gateway. Its memory is bounded, and whoever asks is answered.

Against a real cloud in a temporary home. Connections that have proven who they are may stay, all of them; of those
that have not, no more than the limit does. Exit code 0 when nothing was found. Where the system allows fewer open
files, there are fewer connections.
"""

from __future__ import annotations

import resource
import socket
import ssl
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import psutil
from clouds import Cloud, a_port, eventually

from controller.main.gateway_records import read_gateways
from services.sdk.edge.connections import ConnectionLimits

KNOWN, STRANGERS = 10_000, 2_500
KIB_EACH, KIB_LEFT = 64, 32
"""What a connection of TLS may take with all that belongs to it, and leave: an allocator keeps some."""
_ASK = b"GET /services/none/ HTTP/1.1\r\nHost: localhost\r\n%b\r\n"


class Crowd:
    """Clients of one gateway that say nothing more."""

    def __init__(self, cloud: Cloud) -> None:
        self._port = cloud.port
        self._tls = ssl.create_default_context(cafile=str(cloud.home / "tls" / "ca.crt"))
        self._tls.load_cert_chain(cloud.home / "tls" / "admin.crt", cloud.home / "tls" / "admin.key")
        self._stranger = ssl.create_default_context(cafile=str(cloud.home / "tls" / "ca.crt"))

    def known(self, number: int) -> ssl.SSLSocket:
        """One that has shown the local admin's certificate and was answered."""
        made = self._open(number, self._tls)
        if not self.is_answered(made):
            raise RuntimeError("the local admin is not answered")
        return made

    def stranger(self, number: int) -> ssl.SSLSocket:
        """One that only shook hands."""
        return self._open(number, self._stranger)

    def is_answered(self, client: ssl.SSLSocket) -> bool:
        """Whether the gateway says that there is no such service, which only somebody known is told."""
        client.sendall(_ASK % b"")
        return client.recv(65_536).startswith(b"HTTP/1.1 404")

    def _open(self, number: int, tls: ssl.SSLContext) -> ssl.SSLSocket:
        # From several addresses: one alone may not have all places.
        source = (f"127.0.1.{1 + number % 4}", 0)
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=60, source_address=source)
        return tls.wrap_socket(plain, server_hostname="localhost")


def affordable(wanted: int) -> int:
    """As many of these connections as this process, and a gateway like it, may have files for."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, (hard - 1000) * 2 // 3)


def run(cloud: Cloud, count: int) -> list[str]:
    """What was found, in words."""
    gateway, crowd = psutil.Process(read_gateways(cloud.home)[0].pid), Crowd(cloud)
    found = strangers_are_few(crowd, gateway)
    forgotten(gateway)
    before = gateway.memory_info().rss
    peaks = []
    for _ in range(2):
        with ExitStack() as stack:
            there = [stack.enter_context(crowd.known(number)) for number in range(count)]
            peaks.append(gateway.memory_info().rss - before)
            found += [] if all(map(crowd.is_answered, there[:: count // 100])) else ["who was let in was let go"]
        forgotten(gateway)
    each, more = (peak / count / 1024 for peak in (peaks[0], peaks[1] - peaks[0]))
    print(f"{count:,} idle connections, {each:.0f} KiB each; as many again, {more:.0f} KiB more", flush=True)
    found += [f"each connection takes {each:.0f} KiB"] if each > KIB_EACH else []
    return found + ([f"each that came and went leaves {more:.0f} KiB"] if more > KIB_LEFT else [])


def forgotten(gateway: psutil.Process) -> None:
    """Returns once the gateway has no connections to speak of."""
    eventually(lambda: gateway.num_fds() < 200, "connections that were closed are forgotten")


def strangers_are_few(crowd: Crowd, gateway: psutil.Process) -> list[str]:
    """Of clients that prove nothing, the oldest go; who proves something is let in meanwhile."""
    limit, refused = ConnectionLimits().unproven, 0
    with ExitStack() as stack:
        for number in range(STRANGERS):
            stack.enter_context(crowd.stranger(number))
        with crowd.known(0) as asked:
            refused = 0 if crowd.is_answered(asked) else 1
        fds = gateway.num_fds()
    told = [f"{fds} files are open for strangers"] if fds > limit + 200 else []
    return told + (["nobody is let in beside them"] if refused else [])


def main() -> None:
    count = affordable(int(sys.argv[1]) if len(sys.argv) > 1 else KNOWN)
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(Path(folder) / "home", a_port())
        cloud.do("up")
        try:
            found = run(cloud, count)
        finally:
            cloud.do("down")
    print("\n".join(found) or "nothing found")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
