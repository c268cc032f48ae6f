"""Roles that whoever writes a resource passes on: what they name there can do all that the role may.

A kind says so (`Kind(passes=...)`), and the write path asks whether the writer may pass them (`iam:PassRole`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PassedRoles:
    """`to`: the service of AWS that gets them (`ecs-tasks.amazonaws.com`). `names` reads the names of the roles, all
    of the resource's own account, from a spec. `harmless`: fields of the spec whose change has nothing else done
    with them.
    """

    to: str
    names: Callable[[Body], Iterable[str]]
    harmless: frozenset[str] = frozenset()
