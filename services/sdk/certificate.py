"""This instance's certificate: the key is made here and never leaves; the conductor signs it for our Service alone.

Signed for a day, renewed at half of it while we run: whoever gets a new connection gets the new certificate. The same
way in every runtime, because the credential that was handed over proves who asks.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from controller.kit.clock import Clock
from crds.errors import ApiError

log = logging.getLogger(__name__)
GATEWAY = "system:gateway"
PATH = "/auth/certificates"
FIRST_PAUSE, LONGEST_PAUSE, RETRY_SECONDS = 0.05, 2.0, 30.0
Sign = Callable[[str], Awaitable[dict[str, Any]]]


class InstanceCertificate:
    """`context` is what the server speaks TLS with. `sign` sends a certificate request (PEM) to the conductor."""

    def __init__(self, sign: Sign, ca: Path, clock: Clock) -> None:
        self._sign, self._clock = sign, clock
        self._renew_after = 0.0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.load_verify_locations(cafile=str(ca))
        # Probes come without a certificate, and get no further than their three paths.
        self.context.verify_mode = ssl.CERT_OPTIONAL

    async def obtain(self) -> None:
        """Returns once there is one: until then, nothing can be served. Asks again while the conductor is away."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._renew()
                return
            except (ApiError, OSError) as error:
                log.warning("no certificate yet: %s", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def run(self) -> None:
        """Renews in time, until cancelled."""
        while True:
            await asyncio.sleep(max(self._renew_after - self._clock.monotonic(), RETRY_SECONDS))
            try:
                await self._renew()
            except (ApiError, OSError) as error:
                log.warning("the certificate is not renewed yet: %s", error)

    async def _renew(self) -> None:
        key, request = new_request()
        answer = await self._sign(request)
        load_chain(self.context, str(answer["certificate"]).encode() + key)
        self._renew_after = self._clock.monotonic() + float(answer["expiresIn"]) / 2


def load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """Certificate and key into `context`. Python takes them from a file only: it is there for no longer than that."""
    with tempfile.NamedTemporaryFile() as file:  # mode 0600
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)


def signed_by_conductor(client: Any) -> Sign:
    """Asks over that client, whose credential says for whom the certificate is."""
    from services.sdk.conductor_client import fetch_json  # the gateway, which asks nobody, comes here, too

    async def sign(request: str) -> dict[str, Any]:
        return await fetch_json(client, "POST", PATH, {"request": request})

    return sign


def new_request() -> tuple[bytes, str]:
    """A fresh key (PEM), and the request to sign it. What it is for, the conductor knows better than we."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(private, hashes.SHA256())
    key = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key, request.public_bytes(serialization.Encoding.PEM).decode()
