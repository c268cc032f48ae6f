"""The actions of AWS that this cloud knows, and the service that decides each. Loaded at the first question.

A conductor that nobody asks has none of it in memory: what services declare is imported with their operations.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import takewhile

from crds.errors import Cause, Invalid
from crds.managed import ManagedService
from services.sdk.aws.access_rules import AccessRules
from services.sdk.discovery import load
from services.sdk.permissions import Permission


class AwsActions:
    """Of these services."""

    def __init__(self, services: Iterable[ManagedService]) -> None:
        self._services = tuple(services)

    def find(self, action: str) -> tuple[AccessRules, Permission | None]:
        """Names of actions are told apart without regard to case. Raises Invalid, with the nearest one there is."""
        found = self._known.get(action.lower())
        if found is None:
            near = _nearest(action.lower(), self._known)
            hint = f"; did you mean {self._known[near][2]}?" if near else ""
            words = f"Invalid value: {action!r}: no service of this cloud has this action{hint}"
            field = "spec.awsAttributes.action"
            raise Invalid(f"{field}: {words}", causes=(Cause(field, words),))
        return found[0], found[1]

    def names(self) -> list[str]:
        """All of them."""
        return sorted(name for _, __, name in self._known.values())

    @cached_property
    def _known(self) -> dict[str, tuple[AccessRules, Permission | None, str]]:
        rules: list[AccessRules] = [load(each.access_rules) for each in self._services if each.access_rules]
        return {name.lower(): (each, asked, name) for each in rules for name, asked in each.permissions.items()}


def _nearest(action: str, known: Iterable[str]) -> str:
    """The name that begins longest as this one does; empty where that is not much more than its service. In time that
    is linear in the text: anybody may ask.
    """
    least = len(action.partition(":")[0]) + 1 + _FEWEST_LETTERS
    found = max(known, key=lambda each: _common(action, each), default="")
    return found if _common(action, found) >= least else ""


def _common(one: str, other: str) -> int:
    """How many characters they begin with together."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


_FEWEST_LETTERS = 3
