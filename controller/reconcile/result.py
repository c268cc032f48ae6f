"""The result of a pass: the condition people read, and when the next one is due. Pure.

Every way a pass can end (three outcomes, two deliberate errors, refusals of the API, a bug, no answer in time)
becomes one PassResult, so that the kind controller has a single path after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from controller.reconcile.outcome import Outcome, Permanent, Temporary
from controller.resources.merge_patch import merge_diff
from crds.conditions import ConditionType, Reason
from crds.errors import ApiError, Conflict, NotFound
from crds.kind import KubeObject
from crds.meta import Condition, Status, condition, set_condition

_LONGEST_MESSAGE = 1024
How = Literal["done", "again", "temporary", "permanent", "unexpected", "overtaken"]
FAILURES: tuple[How, ...] = ("temporary", "permanent", "unexpected")


@dataclass(frozen=True, slots=True)
class PassResult:
    """`after` is seconds until the next pass; None means: when something changes (or by backoff, if temporary)."""

    how: How
    reason: str
    message: str
    after: float | None = None

    @property
    def failed(self) -> bool:
        """Whether people should hear of it as a warning."""
        return self.how in FAILURES


def of_outcome(outcome: Outcome) -> PassResult:
    """A reconciler that answered."""
    how: How = "done" if outcome.settled else "again"
    return PassResult(how, outcome.reason, outcome.message, outcome.requeue_after)


def of_error(error: Exception) -> PassResult:
    """A reconciler that raised. `overtaken` means somebody was faster: try again, report nothing."""
    match error:
        case Permanent():
            return PassResult("permanent", error.reason, _short(str(error)))
        case Temporary():
            return PassResult("temporary", error.reason, _short(str(error)), error.after)
        case Conflict() | NotFound():
            return PassResult("overtaken", error.reason, _short(error.message))
        case ApiError():
            after = float(error.retry_after) if error.retry_after is not None else None
            return PassResult("temporary", error.reason, _short(error.message), after)
        case ValidationError():
            # Its text repeats the input, which may be secret.
            return PassResult("unexpected", Reason.UNEXPECTED_ERROR, f"{error.error_count()} faults in {error.title}")
        case _:
            return PassResult("unexpected", Reason.UNEXPECTED_ERROR, _short(f"{type(error).__name__}: {error}"))


def timed_out(seconds: float) -> PassResult:
    """A reconciler that did not answer within its deadline."""
    return PassResult("temporary", Reason.TIMED_OUT, f"no answer within {seconds:g} s")


def write_condition(resource: KubeObject, result: PassResult, now: datetime) -> bool:
    """Write the condition and the observed generation into the status. Whether the condition says something new."""
    status = getattr(resource, "status", None)
    if not isinstance(status, Status):
        return True
    generation = resource.metadata.generation
    old = condition(status.conditions, ConditionType.RECONCILED)
    new = Condition(
        type=ConditionType.RECONCILED,
        status="True" if result.how == "done" else "False",
        reason=result.reason,
        message=result.message,
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
