"""Join tokens for workers: making and revoking them, and the line that is run on the machine that joins."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cli.api_client import ApiClient
from cli.urls import segment
from controller.kit.authorities import fingerprint, first_certificate
from controller.main.errors import UserError
from controller.main.ports import own_addresses
from controller.main.settings import Settings

_GROUP = "/apis/aerekos.cloud/v1"
_MERGE = {"content-type": "application/merge-patch+json"}
# `aerekos-agent` comes with the project; nothing else of it has to run on that machine.
INSTALL_AGENT = (
    "python3 -m venv ~/aerekos && ~/aerekos/bin/pip install PATH   # PATH: a copy of this project, on that machine"
)


def create_token(api: ApiClient, name: str, *, hours: float, uses: int, ca: str) -> str:
    """A join token, told this once: the cloud keeps only its hash."""
    secret = secrets.token_urlsafe(24).replace(".", "")
    try:
        pin = fingerprint(first_certificate(ca))
    except ValueError as odd:
        raise UserError(f"the cloud's CA cannot be pinned: {odd}", hint="log in again with --ca FILE") from odd
    expires = datetime.now(UTC) + timedelta(hours=hours)
    spec = {
        "secretSha256": hashlib.sha256(secret.encode()).hexdigest(),
        "expiresAt": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "uses": uses,
    }
    body = {"apiVersion": "aerekos.cloud/v1", "kind": "JoinToken", "metadata": {"name": name}, "spec": spec}
    api.ask("POST", f"{_GROUP}/jointokens", json=body, params={"fieldValidation": "Strict"})
    return f"{name}.{secret}.{pin}"


def join_line(how: dict[str, Any], server: str, token: str) -> str:
    """The line to run on the machine that joins. `how`: the answer of `GET /join`.

    The token is in the environment, which is its user's alone: arguments can be read by everybody on a machine. The
    script is fetched from somebody not proven yet, so it runs only when it is, byte for byte, the one we know.
    """
    if not how["swarm"]:
        return f"{INSTALL_AGENT}\n  AEREKOS_AGENT_TOKEN={token} ~/aerekos/bin/aerekos-agent --api {server}"
    url, digest = how["url"], how["scriptSha256"]
    return (
        f'f=$(mktemp) && curl -fsSk {url}/join.sh -o $f && echo "{digest}  $f" | sha256sum -c --quiet '
        f"&& AEREKOS_JOIN_TOKEN={token} sh $f {url}"
    )


def reached_at(api: ApiClient, settings: Settings) -> tuple[str, str]:
    """The address other machines reach this cloud at, and a warning when there is none (else empty)."""
    parts = urlsplit(api.server)
    if not is_loopback(parts.hostname or ""):
        return api.server, ""
    if settings.host in ("::", "0.0.0.0"):  # noqa: S104 (read, not bound)
        addresses = own_addresses()
        host = next((each for each in addresses if not is_loopback(each)), "")
        if host:
            return f"https://{f'[{host}]' if ':' in host else host}:{parts.port}", ""
    return api.server, (
        f"warning: the cloud listens at {parts.hostname}, which no other machine reaches; "
        "first: aerekos up --restart --host ::"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def random_name() -> str:
    return f"join-{base64.b32encode(secrets.token_bytes(5)).decode().lower()}"


def revoke_token(api: ApiClient, name: str) -> None:
    """Revoke a token; it stays in the list, so that it can be seen who used it."""
    api.ask("PATCH", f"{_GROUP}/jointokens/{segment(name)}", json={"spec": {"revoked": True}}, headers=_MERGE)
