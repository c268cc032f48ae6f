"""Failures of a command that asks a cloud. Exit codes: controller/main/errors.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.main.errors import REFUSED, UserError

NOT_REACHABLE, NOT_WELL = 3, 4


class NotReachable(UserError):
    """Nobody answers where the cloud should be."""

    def __init__(self, message: str, *, hint: str = "start it: aerekos up") -> None:
        super().__init__(message, hint=hint, code=NOT_REACHABLE)


class Refused(UserError):
    """The cloud answered, and said no. `status` is its HTTP code, `reason` a word for programs, `details` those of
    Kubernetes's Status, `path` what was asked."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        hint: str = "",
        reason: str = "",
        details: Mapping[str, Any] | None = None,
        path: str = "",
    ) -> None:
        super().__init__(message, hint=hint, code=REFUSED)
        self.status, self.reason, self.details, self.path = status, reason, details or {}, path
