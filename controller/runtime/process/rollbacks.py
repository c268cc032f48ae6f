"""Rollbacks: which revision of a program served last, and which failed. Pure but for what it remembers.

In memory only: a conductor that starts anew tries the newest revision once more. Managed services are not rolled
back: they are of one piece with the conductor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controller.runtime.driver import ObservedInstance, Workload
from crds.meta import ObjectKey
from crds.phases import InstancePhase


class Rollbacks:
    """Failed revisions and their predecessors, by workload."""

    def __init__(self) -> None:
        self._served: dict[ObjectKey, Workload] = {}
        self._failed: dict[ObjectKey, tuple[str, str]] = {}

    def instead_of(self, wanted: Workload) -> Workload:
        """The workload that shall run: `wanted`, or what served before when that revision was tried in vain."""
        served = self._served.get(wanted.key)
        if served is None or not self.refusal(wanted):
            return wanted
        return replace(served, replicas=wanted.replicas)

    def refusal(self, wanted: Workload) -> str:
        """Why that revision does not run, in words; empty when it was not tried in vain."""
        revision, because = self._failed.get(wanted.key, ("", ""))
        return because if revision == wanted.revision else ""

    def note(self, wanted: Workload, seen: Sequence[ObservedInstance]) -> str:
        """Learn from what is seen. What to tell people when that revision failed just now, otherwise empty."""
        if not wanted.program:
            return ""
        new = [each for each in seen if each.revision == wanted.revision]
        if len(new) == len(seen) == wanted.replicas and all(each.ready for each in new):
            self._served[wanted.key] = wanted
            return ""
        served = self._served.get(wanted.key)
        if served is None or served.revision == wanted.revision or wanted.update.on_failure != "rollback":
            return ""
        broken = next((each for each in new if each.phase == InstancePhase.CRASH_LOOP_BACK_OFF), None)
        if broken is None:
            return ""
        text = (
            f"revision {wanted.revision} did not get ready ({broken.message}), so revision {served.revision} runs "
            f"again; change what is wanted, or go back to it: aerekos rollback {wanted.key.name}"
        )
        self._failed[wanted.key] = (wanted.revision, text)
        return text

    def forget(self, key: ObjectKey) -> None:
        """Drop a workload that is gone."""
        self._served.pop(key, None)
        self._failed.pop(key, None)
