"""Security checks of listeners: nothing of the cloud speaks plainly to other machines."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from cli.security.finding import Finding
from controller.main import running_conductor
from controller.main.gateway_records import read_gateways
from controller.main.settings import Settings

_WAIT_SECONDS = 1.0


def check_listeners(settings: Settings) -> Iterator[Finding]:
    """Asks every listening port of the conductor, its gateways and its children for TLS."""
    found = running_conductor.running(settings)
    if found is None:
        yield Finding("skipped", "plain-listeners", "no conductor runs on this machine")
        return
    pids = (found.pid, *(each.pid for each in read_gateways(settings.home)))
    places = sorted({place for pid in pids for place in _listening(pid)})
    wide = [place for place in places if not _is_local(place[0])]
    plain = [place for place in places if not _speaks_tls(*place)]
    yield from _plain(wide, plain)
    yield from _wide(settings, wide, plain)


def _plain(wide: Iterable[tuple[str, int]], plain: list[tuple[str, int]]) -> Iterator[Finding]:
    seen = set(wide)
    outside = [place for place in plain if place in seen]
    for host, port in outside:
        yield Finding(
            "high",
            "plain-listeners",
            f"{host}:{port} answers without TLS, to other machines",
            "whoever is on the path reads and changes what is said there",
            "bind it to 127.0.0.1, or put TLS before it",
        )
    local = [place for place in plain if place not in seen]
    if local:
        named = ", ".join(f"{host}:{port}" for host, port in local[:6])
        yield Finding(
            "low",
            "plain-listeners",
            f"{len(local)} ports answer without TLS on this machine alone: {named}",
            "a local user cannot read them, but can ask; identities are demanded there",
            "let only trusted users log in to this machine",
        )
    if not plain:
        yield Finding("ok", "plain-listeners", "every port of the cloud speaks TLS")


def _wide(settings: Settings, wide: list[tuple[str, int]], plain: list[tuple[str, int]]) -> Iterator[Finding]:
    if any(host in ("0.0.0.0", "::") for host, _ in wide):  # noqa: S104 (compared, not bound)
        yield Finding(
            "low",
            "wide-listeners",
            f"port {settings.port} is open to every network of this machine",
            "an address nobody thinks of (a guest network, a tunnel) reaches it too",
            "AEREKOS_HOST=<the address people use>, or a firewall",
        )
    else:
        yield Finding("ok", "wide-listeners", "nothing listens on every address")


def _listening(pid: int) -> Iterator[tuple[str, int]]:
    import psutil

    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return
    for process in family:
        try:
            connections = process.net_connections("tcp")
        except psutil.Error:
            continue
        for each in connections:
            if each.status == psutil.CONN_LISTEN:
                yield each.laddr.ip, each.laddr.port


def _is_local(host: str) -> bool:
    return ip_address(host).is_loopback


def _speaks_tls(host: str, port: int) -> bool:
    """Whether a TLS handshake begins there; whose certificate it shows does not matter here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        with socket.create_connection((target, port), _WAIT_SECONDS) as plain, context.wrap_socket(plain):
            return True
    except ssl.SSLCertVerificationError:
        return True
    except ssl.SSLError as error:
        # One that asks for our certificate speaks TLS, and says so by an alert.
        return "ALERT" in str(error).upper() and "WRONG_VERSION" not in str(error).upper()
    except OSError:
        return False
