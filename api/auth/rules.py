"""The words of authorization: an action somebody wants to do, and a rule that allows some of them."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
ALL = "*"


REQUIRED: ContextVar[list[Action] | None] = ContextVar("required", default=None)
"""Where everything that had to be allowed for the request at hand is noted, if somebody wants to know."""


class Action(NamedTuple):
    """One thing somebody wants to do. `resource` is `plural` or `plural/subresource`."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows these verbs on these resources of these groups; `*` means any. With `names`, only on those."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...] = ()

    def allows(self, action: Action) -> bool:
        return (
            (ALL in self.verbs or action.verb in self.verbs)
            and (ALL in self.groups or action.group in self.groups)
            and (not self.names or action.name in self.names)
            and (ALL in self.resources or action.resource in self.resources or self._means_all_below(action.resource))
        )

    def _means_all_below(self, resource: str) -> bool:
        """`pods/*` means every subresource of pods, `*/scale` that subresource of everything."""
        plural, slash, sub = resource.partition("/")
        return bool(slash) and (f"{plural}/*" in self.resources or f"*/{sub}" in self.resources)


class RuleSource(NamedTuple):
    """A rule, the role it is part of, and the binding that gives it, if it is given by one."""

    rule: Rule
    role: dict[str, Any]
    binding: dict[str, Any] | None = None


EVERYTHING = Rule((ALL,), (ALL,), (ALL,))
