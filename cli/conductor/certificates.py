"""Certificates that end take the next one's place while the conductor runs: the server's, and the local admin's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import anyio
import structlog

from api.auth.principal import MASTERS
from api.serving import use_certificate
from api.tls import Authority

log = structlog.get_logger("conductor")
LOOK_SECONDS = 6 * 3600.0


async def keep_certificates_fresh(
    folder: Path, names: Sequence[str], now: Callable[[], datetime], server: object
) -> None:
    """Until cancelled. What is about to end is made anew, by the rules of a start."""
    while True:
        await anyio.sleep(LOOK_SECONDS)
        try:
            if renew(folder, names, now(), server):
                log.info("the server's certificate was renewed")
        except OSError as broken:
            log.warning("a certificate could not be renewed", because=str(broken))


def renew(folder: Path, names: Sequence[str], now: datetime, server: object) -> bool:
    """Whether the server shows another certificate from now on. Connections that are open stay as they are."""
    authority = Authority(folder, now=now)
    authority.client("admin", "local-admin", [MASTERS])
    file = folder / "server.crt"
    before = file.read_bytes() if file.exists() else b""
    certificate, key = authority.server(names)
    if certificate.read_bytes() == before:
        return False
    use_certificate(server, certificate, key)
    return True
