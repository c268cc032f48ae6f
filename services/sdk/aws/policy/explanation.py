"""A decision as data: the outcome, whose policy decided, and the statement that did, for whoever asks why."""

from __future__ import annotations

from typing import Any

from services.sdk.aws.policy.evaluation import Decision, Match

Json = dict[str, Any]


def described_decision(decision: Decision, action: str) -> Json:
    """`outcome`, `source`, `reason`, and `statement` where one decided: none does where no statement allows."""
    described: Json = {
        "outcome": str(decision.outcome),
        "source": str(decision.source),
        "reason": decision.because.replace("{action}", action),
    }
    if decision.match is not None:
        described["statement"] = described_match(decision.match)
    return described


def described_match(match: Match) -> Json:
    """Where the statement is to be found: the policy's name or ARN, its index there from 0, and its Sid if any."""
    found: Json = {
        "source": str(match.source),
        "policy": match.policy,
        "index": match.statement.index,
        "effect": match.statement.effect,
    }
    return {**found, "sid": match.statement.sid} if match.statement.sid else found


def statement_in_words(decision: Json) -> str:
    """`statement 2 "NoDeletes" of the policy p (identity-based policy) denies it`."""
    statement = decision.get("statement")
    if statement is None:
        return str(decision["reason"])
    sid = f' "{statement["sid"]}"' if "sid" in statement else ""
    does = "denies" if statement["effect"] == "Deny" else "allows"
    return (
        f"statement {statement['index']}{sid} of the policy {statement['policy']} ({statement['source']}) {does} it"
    )
