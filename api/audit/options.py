"""Options of the audit log: what the settings say, checked, and made into an `Audit`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from api.audit.policy import DEFAULT, Policy, PolicyFault, read_policy

Failure = Literal["refuse", "continue"]


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """`failure`: what becomes of changes while the log cannot be written. Rates are lines per second."""

    policy: Path | None = None
    failure: Failure = "refuse"
    days: float = 30.0
    most_bytes: int = 10 * 2**30
    data_lines: float = 50.0
    denied_lines: float = 10.0
    syslog: str = ""
    webhook: str = ""
    webhook_token: Path | None = field(default=None, repr=False)
    sink_ca: Path | None = None
    file: Path | None = None

    @property
    def floor(self) -> timedelta:
        return timedelta(days=self.days)

    def read_policy(self) -> Policy:
        """Raises PolicyFault, OSError."""
        if self.policy is None:
            return read_policy(DEFAULT)
        import yaml  # no cloud but one with a policy of its own needs it here

        try:
            return read_policy(yaml.safe_load(self.policy.read_bytes()))
        except yaml.YAMLError as error:
            raise PolicyFault(f"{self.policy} is no YAML: {error}") from error
