"""Words that Schedules and their groups carry in their status."""

from __future__ import annotations

from crds.term import Term


class ScheduleReason(Term):
    """Why a Schedule is as its condition Reconciled says."""

    WAITING = "Waiting", "It is due again, and is called then."
    COMPLETED = "Completed", "It is never due again."
    DISABLED = "Disabled", "It is not called until it is enabled again."
    EMPTYING = "DeletingSchedules", "The schedules of the group are deleted before it."
