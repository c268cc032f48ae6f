"""The audit log: who did what, when, from where, and how it ended."""

from api.audit.log import KEPT_LINES, Audit

__all__ = ["KEPT_LINES", "Audit"]
