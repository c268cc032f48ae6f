"""What the agent is told at its start: arguments first, then AEREKOS_AGENT_* variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """`api` is tried in turn. `ca` is a PEM file, `ca_sha256` the hex SHA-256 of the CA's DER form.

    token: `<name>.<secret>.<ca-sha256>`, needed once to join.
    services_dir: the process runtime's `run/instances`; None means this node's services are not measured.
    """

    name: str
    home: Path
    api: tuple[str, ...]
    token: str | None = None
    ca: Path | None = None
    ca_sha256: str | None = None
    services_dir: Path | None = None
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def pin(self) -> str | None:
        """The CA's fingerprint: given, or the third part of the token. Lower case hex, no colons."""
        given = self.ca_sha256 or (self.token.split(".")[2] if self.token and self.token.count(".") == 2 else "")
        return given.lower().replace(":", "") or None
