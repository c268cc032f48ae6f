"""What must hold for every write of a kind, whoever asks and through whatever door: rules live with their kind.

A model says what a resource may look like; a rule also sees what was there before and what else this cloud has.
Rules are asked by the one place where writes happen (`controller.resources.registry`). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from crds.errors import Cause


class Write(NamedTuple):
    """A write that is about to be kept. `old` None: a creation; `new` None: its deletion is asked for.

    `managed`: the managed services this cloud ships, by the name of their folder (`notes_manager`).
    """

    old: dict[str, Any] | None
    new: dict[str, Any] | None
    managed: frozenset[str] = frozenset()


Rule = Callable[[Write], Iterable[Cause]]


def forbidden(field: str, text: str) -> Cause:
    """That field may not be as it was asked for."""
    return Cause(field, f"Forbidden: {text}", "FieldValueForbidden")
