"""Joining: a token `<name>.<secret>.<ca-sha256>` becomes an identity.

The token pins the CA, so the very first connection needs no trust: the CA certificate is fetched over an unverified
connection, and used only when the SHA-256 of its DER form is the pinned one. The token itself is sent
only over a connection verified by that CA.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import Sequence

import httpx

from agent.door import Door, MakeClient
from agent.errors import AgentError, CannotJoin, NotWelcome, Unreachable
from agent.identity import Identity
from agent.settings import Settings


async def join(settings: Settings, door: Door, make: MakeClient) -> Identity:
    """A new identity. Raises CannotJoin when a person must act, Unreachable when trying again may help."""
    if not settings.token:
        raise CannotJoin(
            "this worker has no identity and no token: run `aerekos token create` on the conductor, "
            "then start the agent with --token"
        )
    ca = await trusted_ca(settings, make)
    body = {"token": settings.token, "name": settings.name}
    try:
        answer = await door.post("/auth/join", body, ca=ca)
        return Identity(
            str(answer["worker"]),
            str(answer["clientId"]),
            str(answer["clientSecret"]),
            str(answer["ca"] or ca),
        )
    except Unreachable:
        raise
    except NotWelcome as refused:
        raise CannotJoin(f"the join token was refused ({refused}): ask for a new one") from refused
    except (AgentError, KeyError) as refused:
        raise CannotJoin(f"joining failed: {refused}") from refused


async def trusted_ca(settings: Settings, make: MakeClient) -> str:
    """PEM of the CA to trust: the given file, or what the API shows when it matches the pin."""
    if settings.ca is not None:
        return settings.ca.read_text()
    if settings.pin is None:
        raise CannotJoin("the conductor's CA is unknown: give --ca FILE, --ca-sha256, or the whole token")
    pem = await _shown_ca(settings.api, make)
    found = fingerprint(pem)
    if not hmac.compare_digest(found, settings.pin):
        raise CannotJoin(
            f"the API shows a CA with SHA-256 {found}, the token pins {settings.pin}: "
            "this is another conductor, or somebody sits in between"
        )
    return pem


def fingerprint(pem: str) -> str:
    """Hex SHA-256 of the certificate's DER form. Raises CannotJoin when it is no certificate."""
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip() + "\n")).hexdigest()
    except ValueError as broken:
        raise CannotJoin("what the API shows as its CA is no PEM certificate") from broken


async def _shown_ca(urls: Sequence[str], make: MakeClient) -> str:
    faults = []
    async with make(False) as client:  # nothing secret is sent, and the answer is checked by its hash
        for url in urls:
            try:
                response = await client.get(f"{url.rstrip('/')}/auth/ca.pem")
                response.raise_for_status()
            except httpx.HTTPError as fault:
                faults.append(f"{url}: {fault or type(fault).__name__}")
                continue
            return response.text
    raise Unreachable("; ".join(faults))
