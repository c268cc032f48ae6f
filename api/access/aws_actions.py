"""The actions of AWS that this cloud knows, and the service that decides each. Loaded at the first question.

A conductor that nobody asks has none of it in memory: what services declare is imported with their operations.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cached_property

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
            near = difflib.get_close_matches(action.lower(), self._known, n=1, cutoff=0.7)
            hint = f"; did you mean {self._known[near[0]][2]}?" if near else ""
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
