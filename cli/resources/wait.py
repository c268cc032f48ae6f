"""`aerekos wait`: comes back when a resource has a condition, or is gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.output import Progress
from cli.resources.kinds import Served
from controller.main.errors import Misuse, UserError
from crds.conditions import ConditionType

_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Goal:
    """A condition and the value it shall have. The first of `conditions` that the resource has counts; without any it
    shall be gone.
    """

    conditions: tuple[str, ...] = ()
    value: str = "True"

    def __str__(self) -> str:
        return f"{self.conditions[0]}={self.value}" if self.conditions else "deleted"

    def is_met(self, resource: dict[str, Any]) -> bool:
        """Whether it holds for what is wanted now: what was said about an older generation does not count."""
        found = self._counting(resource)
        status, generation = resource.get("status") or {}, resource["metadata"].get("generation", 0)
        seen = found.get("observedGeneration", status.get("observedGeneration", generation))
        return bool(found) and seen >= generation and str(found.get("status")).lower() == self.value.lower()

    def missing(self, resource: dict[str, Any]) -> str:
        """Why it does not hold, in the words of the condition."""
        found = self._counting(resource)
        told = found.get("message") or found.get("reason")
        if found:
            return str(told or f"it is {found['type']}={found.get('status')}")
        there = ", ".join(sorted(each["type"] for each in _conditions(resource))) or "none"
        return f"it has no condition {self.conditions[0]}; it has {there}"

    def _counting(self, resource: dict[str, Any]) -> dict[str, Any]:
        known = {each.get("type"): each for each in _conditions(resource)}
        return next((known[name] for name in self.conditions if name in known), {})


# Not every kind has a condition Ready; that its reconciler is done with it is what there is for the others.
READY = Goal((ConditionType.READY, ConditionType.RECONCILED))


def _conditions(resource: dict[str, Any]) -> list[dict[str, Any]]:
    return list((resource.get("status") or {}).get("conditions") or ())


def read_goal(text: str) -> Goal:
    """`delete`, `condition=Ready` or `condition=Ready=False`; empty: ready, as its kind says it. Raises Misuse."""
    if not text:
        return READY
    if text == "delete":
        return Goal()
    word, _, rest = text.partition("=")
    condition, _, value = rest.partition("=")
    if word != "condition" or not condition:
        raise Misuse(f'--for: "{text}" is not known', hint="--for condition=Ready, condition=Ready=False, or delete")
    return Goal((condition,), value or "True")


def wait(api: ApiClient, kind: Served, namespace: str, name: str, goal: Goal, *, timeout: float) -> str:
    """What came true. Raises Refused when it is not there, UserError when it takes too long."""
    deadline, title = time.monotonic() + timeout, kind.title(name)
    with Progress(f"waiting until {title} is {_said(goal)}") as progress:
        while True:
            resource = _look(api, kind.path(namespace, name), goal)
            if resource is None or (goal.conditions and goal.is_met(resource)):
                return f"{title} is {_said(goal)}"
            why = goal.missing(resource) if goal.conditions else "it is still there"
            if time.monotonic() > deadline:
                message = f"{title} is not {_said(goal)} after {timeout:g} s: {why}"
                raise UserError(message, hint=f"see: aerekos describe {title}")
            progress.now(why)
            time.sleep(_LOOK_SECONDS)


def _said(goal: Goal) -> str:
    return "ready" if goal is READY else str(goal)


def _look(api: ApiClient, path: str, goal: Goal) -> dict[str, Any] | None:
    """The resource; None when it is gone and was to go."""
    try:
        found: dict[str, Any] = api.get(path)
    except Refused as refused:
        if refused.status == 404 and not goal.conditions:
            return None
        raise
    return found
