"""Refusals of STS: errors of this API that carry AWS's own code as the reason of their cause."""

from __future__ import annotations

from crds.errors import BadRequest, Cause, Forbidden

VALIDATION = "ValidationError"


def refused(code: str, message: str, field: str = "") -> BadRequest:
    """The error for a request that AWS would answer with that code."""
    return BadRequest(message, causes=(Cause(field, message, code),))


def denied(message: str) -> Forbidden:
    """AccessDenied."""
    return Forbidden(message)
