"""What one pass amounts to: the condition people read, and when to look again. Pure.

Every way a pass can end (three outcomes, two deliberate errors, refusals of the API, a bug, no answer in time)
becomes one Verdict, so that the desk has a single path after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from controller.loop.outcome import Outcome, Permanent, Temporary
from controller.resources.patching import merge_diff
from crds.errors import ApiError, Conflict, NotFound
from crds.kind import Manifest
from crds.meta import Condition, Status, condition, set_condition

RECONCILED = "Reconciled"
_LONGEST_MESSAGE = 1024
How = Literal["done", "again", "temporary", "permanent", "unexpected", "overtaken"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`after` is seconds until the next look; None means: when something changes (or by backoff, if temporary)."""

    how: How
    reason: str
    message: str
    after: float | None = None

    @property
    def failed(self) -> bool:
        """Whether people should hear of it as a warning."""
        return self.how in ("temporary", "permanent", "unexpected")


def of_outcome(outcome: Outcome) -> Verdict:
    """A reconciler that answered."""
    how: How = "done" if outcome.settled else "again"
    return Verdict(how, outcome.reason, outcome.message, outcome.look_again_after)


def of_error(error: Exception) -> Verdict:
    """A reconciler that raised. `overtaken` means somebody was faster: look again, tell nobody."""
    match error:
        case Permanent():
            return Verdict("permanent", error.reason, _short(str(error)))
        case Temporary():
            return Verdict("temporary", error.reason, _short(str(error)), error.after)
        case Conflict() | NotFound():
            return Verdict("overtaken", error.reason, _short(error.message))
        case ApiError():
            after = float(error.retry_after) if error.retry_after is not None else None
            return Verdict("temporary", error.reason, _short(error.message), after)
        case ValidationError():
            # Its text repeats the input, which may be secret.
            return Verdict("unexpected", "UnexpectedError", f"{error.error_count()} faults in {error.title}")
        case _:
            return Verdict("unexpected", "UnexpectedError", _short(f"{type(error).__name__}: {error}"))


def timed_out(seconds: float) -> Verdict:
    """A reconciler that did not answer within its deadline."""
    return Verdict("temporary", "TimedOut", f"no answer within {seconds:g} s")


def note(resource: Manifest, verdict: Verdict, now: datetime) -> bool:
    """Write the condition and the observed generation into the status. Whether the condition says something new."""
    status = getattr(resource, "status", None)
    if not isinstance(status, Status):
        return True
    generation = resource.metadata.generation
    old = condition(status.conditions, RECONCILED)
    new = Condition(
        type=RECONCILED,
        status="True" if verdict.how == "done" else "False",
        reason=verdict.reason,
        message=verdict.message,
        observed_generation=generation,
    )
    set_condition(status.conditions, new, now=now)
    status.observed_generation = generation
    return old is None or (old.status, old.reason, old.message) != (new.status, new.reason, new.message)


def status_patch(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any] | None:
    """The merge patch from one wire form to the other, bound to the version that was read. None: no difference."""
    difference = merge_diff(before.get("status") or {}, after.get("status") or {})
    if not difference:
        return None
    return {"metadata": {"resourceVersion": before["metadata"]["resourceVersion"]}, "status": difference}


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"
