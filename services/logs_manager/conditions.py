"""Words that LogGroups carry in their status."""

from __future__ import annotations

from crds.term import Term


class LogGroupReason(Term):
    """Why a LogGroup is as its condition Reconciled says."""

    KEPT = "LogsKept", "What is written to it is kept as long as its spec says."
    FULL = (
        "LogsOverLimit",
        "It has more than its maxBytes, or all groups more than they may: the oldest lines go before their time.",
    )
