"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"
SERVICES = "system:services"
WORKERS = "system:workers"
SERVICE_PREFIX = "system:service:"
WORKER_PREFIX = "system:worker:"


@dataclass(frozen=True, slots=True)
class Principal:
    """A known identity. `namespace` is where its AWS calls land; `acting` names who acts for it, if anybody."""

    name: str
    groups: frozenset[str]
    namespace: str = "default"
    acting: str = ""

    @property
    def service(self) -> str:
        """The managed service this is, or an empty string."""
        return self.name.removeprefix(SERVICE_PREFIX) if self.name.startswith(SERVICE_PREFIX) else ""

    @property
    def worker(self) -> str:
        """The worker this is, or an empty string."""
        return self.name.removeprefix(WORKER_PREFIX) if self.name.startswith(WORKER_PREFIX) else ""
