"""Certificates that end, or name what is no longer true, take the next one's place while the conductor runs: the
server's, which gateways read again, and the local admin's. Connections that are open stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import anyio
import structlog

from api.auth.principal import MASTERS
from api.tls import CertificateAuthority
from controller.main.server_names import ServerNames, below

log = structlog.get_logger("conductor")
# An interface that comes and goes makes no more than one certificate in this time.
LOOK_SECONDS = 10.0
RENEW_LOOKS = 2160  # six hours


async def keep_certificates_fresh(folder: Path, names: ServerNames, now: Callable[[], datetime]) -> None:
    """Renew certificates until cancelled, by the rules of a start: those about to end, and with other names."""
    shown, looks = names.current, 0
    while True:
        await anyio.sleep(LOOK_SECONDS)
        looks += 1
        try:
            found = await names.look()
            if found == shown and looks % RENEW_LOOKS:
                continue
            if renew(folder, found, now()):
                log.info("the server has a new certificate", names=found)
            shown = found
        except (OSError, ValueError) as broken:
            log.warning("a certificate could not be made", because=str(broken))


def renew(folder: Path, names: Sequence[str], now: datetime) -> bool:
    """Whether there is another certificate of the server from now on."""
    authority = CertificateAuthority(folder, now=now)
    authority.client("admin", "local-admin", [MASTERS])
    file = folder / "server.crt"
    before = file.read_bytes() if file.exists() else b""
    certificate, _ = server_certificate(authority, names)
    return certificate.read_bytes() != before


def server_certificate(authority: CertificateAuthority, names: Sequence[str]) -> tuple[Path, Path]:
    """Certificate and key for those names, and for what is below them."""
    return authority.server([*names, *below(names)])
