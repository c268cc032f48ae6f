"""Findings of security checks: how bad, what, why it matters, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["ok", "skipped", "low", "medium", "high"]
ORDER: tuple[Severity, ...] = ("ok", "skipped", "low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` is the name docs/hardening.md lists it under."""

    severity: Severity
    check: str
    what: str
    why: str = ""
    fix: str = ""


def worst(findings: Sequence[Finding]) -> Severity:
    """The highest severity among them."""
    return max((each.severity for each in findings), key=ORDER.index, default="ok")


def as_document(findings: Sequence[Finding]) -> dict[str, Any]:
    """The finding as programs read it."""
    counts = {severity: sum(each.severity == severity for each in findings) for severity in ORDER}
    return {"worst": worst(findings), "counts": counts, "findings": [asdict(each) for each in findings]}


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Findings for people: the worst first, each with why and fix."""
    for each in sorted(findings, key=lambda one: -ORDER.index(one.severity)):
        yield f"{each.severity:<8} {each.check:<18} {each.what}"
        if each.severity not in ("ok", "skipped"):
            yield f"{'':<27} why: {each.why}"
            yield f"{'':<27} fix: {each.fix}"
