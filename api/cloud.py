"""The identity of this cloud: its name for people, and the fingerprint of its CA, which no other has."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from controller.kit.authorities import fingerprint, spelled


@dataclass(frozen=True)
class CloudIdentity:
    """`ca_fingerprint`: SHA-256 of the CA's DER form, lower case hex."""

    name: str
    ca_fingerprint: str


def identity_of(name: str, ca: bytes) -> CloudIdentity:
    """`ca`: PEM. Raises ValueError when it is no certificate."""
    return CloudIdentity(name, fingerprint(ca.decode()))


def cloud_routes(cloud: CloudIdentity) -> APIRouter:
    """GET /cloud. For everybody: people choose by it where to type their password, and TLS shows the CA anyway."""
    router = APIRouter()

    @router.get("/cloud")
    async def which() -> dict[str, str]:
        return {"name": cloud.name, "caFingerprint": spelled(cloud.ca_fingerprint)}

    return router
