"""`aerekos wait`: comes back when a resource has a condition, or is gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from cli.connecting import Api
from cli.errors import CliError, Misuse, Refused
from cli.kinds import Served
from cli.output import Progress
from cli.status import because

_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Goal:
    """`condition` empty: until it is gone."""

    condition: str = ""
    value: str = "True"

    def __str__(self) -> str:
        return f"{self.condition}={self.value}" if self.condition else "deleted"

    def is_met(self, resource: dict[str, Any]) -> bool:
        """Whether it holds for what is wanted now: what was said about an older generation does not count."""
        status, generation = resource.get("status") or {}, resource["metadata"].get("generation", 0)
        found: dict[str, Any] = next(
            (each for each in status.get("conditions") or () if each.get("type") == self.condition), {}
        )
        seen = found.get("observedGeneration", status.get("observedGeneration", generation))
        return bool(found) and seen >= generation and str(found.get("status")).lower() == self.value.lower()


def read_goal(text: str) -> Goal:
    """`delete`, `condition=Ready` or `condition=Ready=False`. Raises Misuse."""
    if text == "delete":
        return Goal()
    word, _, rest = text.partition("=")
    condition, _, value = rest.partition("=")
    if word != "condition" or not condition:
        raise Misuse(f'--for: "{text}" is not known', hint="--for condition=Ready, condition=Ready=False, or delete")
    return Goal(condition, value or "True")


def wait(api: Api, kind: Served, namespace: str, name: str, goal: Goal, *, timeout: float) -> str:
    """What came true. Raises Refused when it is not there, CliError when it takes too long."""
    deadline, title = time.monotonic() + timeout, kind.title(name)
    with Progress(f"waiting for {title}: {goal}") as progress:
        while True:
            resource = _look(api, kind.path(namespace, name), goal)
            if resource is None or (goal.condition and goal.is_met(resource)):
                return f"{title} {goal}"
            why = because(resource.get("status") or {}) or "not yet"
            if time.monotonic() > deadline:
                message = f"{title} is not {goal} after {timeout:g} s: {why}"
                raise CliError(message, hint=f"see: aerekos describe {title}")
            progress.now(why)
            time.sleep(_LOOK_SECONDS)


def _look(api: Api, path: str, goal: Goal) -> dict[str, Any] | None:
    """The resource; None when it is gone and was to go."""
    try:
        found: dict[str, Any] = api.get(path)
    except Refused as refused:
        if refused.status == 404 and not goal.condition:
            return None
        raise
    return found
