"""Joining: a token `<name>.<secret>.<ca-sha256>` (or without the last part) becomes an identity.

The token pins the CA, so the very first connection needs no trust: the CA certificate is fetched over an unverified
connection, and used only when the SHA-256 of its DER form is the pinned one. The token itself is sent
only over a connection verified by that CA.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

import httpx

from agent.conductor_client import ConductorClient, MakeClient
from agent.errors import AccessRevoked, AgentError, CannotJoin, Unreachable
from agent.identity import Identity
from agent.settings import Settings
from controller.kit import authorities

PROOF = "x-aerekos-proof"


async def join(settings: Settings, conductor: ConductorClient, make: MakeClient) -> Identity:
    """A new identity. Raises CannotJoin when a person must act, Unreachable when trying again may help."""
    token = settings.join_token
    if not token:
        raise CannotJoin(
            "this worker has no identity and no token: run `aerekos token create` on the conductor, "
            "then start the agent with AEREKOS_AGENT_TOKEN or --token-file"
        )
    ca = await trusted_ca(settings, conductor.urls, make)
    body = {"token": token, "name": settings.name}
    try:
        answer = await conductor.post("/auth/join", body, ca=ca)
        return Identity(
            str(answer["worker"]),
            str(answer["clientId"]),
            str(answer["clientSecret"]),
            str(answer["ca"] or ca),
        )
    except Unreachable:
        raise
    except AccessRevoked as refused:
        raise CannotJoin(f"the join token was refused ({refused}): ask for a new one") from refused
    except (AgentError, KeyError) as refused:
        raise CannotJoin(f"joining failed: {refused}") from refused


async def trusted_ca(settings: Settings, urls: Sequence[str], make: MakeClient) -> str:
    """PEM of the CA to trust: the given file, or what the API shows when it matches the pin."""
    if settings.ca is not None:
        return settings.ca.read_text()
    if settings.pin is None:
        return await _proven_ca(settings, urls, make)
    pem, _ = await _shown_ca(urls, make)
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
        return authorities.fingerprint(pem)
    except ValueError as broken:
        raise CannotJoin("what the API shows as its CA is not one PEM certificate") from broken


def _single_certificate(pem: str) -> str:
    """Who sits in between could show the CA we know and, in the same text, one more to be trusted."""
    try:
        return authorities.only_certificate(pem)
    except ValueError as broken:
        raise CannotJoin("what the API shows as its CA is not one PEM certificate") from broken


async def _proven_ca(settings: Settings, urls: Sequence[str], make: MakeClient) -> str:
    """The CA of whoever knows the token's secret, as HMAC-SHA256(sha256(secret), nonce + sha256(CA)) shows."""
    name, _, secret = settings.join_token.partition(".")
    if not secret:
        raise CannotJoin("the conductor's CA is unknown: give --ca FILE, --ca-sha256, or the whole token")
    nonce = secrets.token_bytes(32)
    pem, proof = await _shown_ca(urls, make, {"token": name, "nonce": nonce.hex()})
    key, message = hashlib.sha256(secret.encode()).digest(), nonce + bytes.fromhex(fingerprint(pem))
    if not hmac.compare_digest(hmac.new(key, message, hashlib.sha256).hexdigest().encode(), proof.encode()):
        raise CannotJoin("the API does not know the token's secret: another conductor, or somebody in between")
    return pem


async def _shown_ca(urls: Sequence[str], make: MakeClient, asked: Mapping[str, str] | None = None) -> tuple[str, str]:
    """The CA, alone, and the proof that came with it, empty when none was asked for."""
    faults = []
    async with make(False) as client:  # nothing secret is sent, and the answer is checked by its hash
        for url in urls:
            try:
                response = await client.get(f"{url.rstrip('/')}/auth/ca.pem", params=asked)
                if response.status_code == httpx.codes.UNAUTHORIZED:
                    raise CannotJoin("the join token was refused: it is unknown, expired, revoked or used up")
                response.raise_for_status()
            except httpx.HTTPError as fault:
                faults.append(f"{url}: {str(fault) or type(fault).__name__}")
                continue
            return _single_certificate(response.text), response.headers.get(PROOF, "")
    raise Unreachable("; ".join(faults))
