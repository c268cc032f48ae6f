"""Options of trust in an OpenID Connect issuer: the same settings kube-apiserver has, with the same meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

# Asymmetric ones only: a client's shared secret is no key to sign with.
KNOWN_ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
NO_PREFIX = "-"


@dataclass(frozen=True, slots=True)
class OidcOptions:
    """`username_prefix` empty: `<issuer>#`, but for the claim email, which has none. `-`: none at all.

    `create_users`: who the issuer vouches for gets a User without roles; otherwise an admin makes it first.
    """

    issuer: str
    client_id: str
    username_claim: str = "sub"
    username_prefix: str = ""
    groups_claim: str = ""
    groups_prefix: str = ""
    required_claims: Mapping[str, str] = field(default_factory=dict)
    algorithms: tuple[str, ...] = ("RS256",)
    ca: Path | None = None
    create_users: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be trusted."""
        require_https(self.issuer)
        if not self.client_id:
            raise ValueError("the client id is missing: tokens made for others would be taken")
        if unknown := sorted(set(self.algorithms) - set(KNOWN_ALGORITHMS)):
            raise ValueError(f"the algorithm {unknown[0]} is not one of {', '.join(KNOWN_ALGORITHMS)}")

    def user_name(self, claim: str) -> str:
        """The claim as this cloud knows it."""
        if self.username_prefix == NO_PREFIX:
            return claim
        if self.username_prefix or self.username_claim == "email":
            return f"{self.username_prefix}{claim}"
        return f"{self.issuer}#{claim}"

    def group_name(self, group: str) -> str:
        return f"{self.groups_prefix}{group}" if self.groups_prefix != NO_PREFIX else group


def require_https(url: str) -> None:
    """Raises ValueError for an address whose answers anybody on the path could make up."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if (parts.scheme != "https" and not local) or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url} must be a plain https address")


def read_required(text: str) -> dict[str, str]:
    """`hd=example.org,tier=gold` as pairs. Raises ValueError."""
    pairs = [each.partition("=") for each in text.split(",") if each.strip()]
    if any(not name.strip() or not mark for name, mark, _ in pairs):
        raise ValueError(f"required claims are written name=value,name=value, not {text!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}
