"""The question put to admission: one write, by somebody."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from crds.errors import Forbidden
from crds.kind import Kind
from crds.meta import ObjectKey

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
Body = dict[str, Any]
May = Callable[[str, str, str, str, str], bool]
"""Whether the author may: verb, group, resource, namespace (empty: everywhere), name."""


class Requester(NamedTuple):
    """The author of a write. `of_the_house`: one of the cloud's own services or workers, whom no default limit is
    meant for.
    """

    name: str
    groups: frozenset[str]
    may: May
    uid: str = ""
    of_the_house: bool = False

    @property
    def may_lift_limits(self) -> bool:
        """The right of who decides about all namespaces: `escalate` on them, which only admins have by default."""
        return self.may("escalate", "", "namespaces", "", "")


AUDITED: ContextVar[dict[str, str] | None] = ContextVar("audited", default=None)
"""Where whoever serves a request wants the annotations of its writes; None: nobody listens."""


@dataclass(slots=True)
class AdmissionRequest:
    """`old` is None for a creation, `new` for a deletion. `new` has its defaults, and keeps its kind's schema.

    Plugins add annotations and warnings, and set nothing. Not frozen: that would cost each write ten calls.
    """

    operation: Operation
    kind: Kind[Any]
    key: ObjectKey
    user: Requester
    old: Body | None = None
    new: Body | None = None
    subresource: str = ""
    dry_run: bool = False
    annotations: dict[str, str] = field(default_factory=dict)
    """What plugins want the audit log to know."""
    warnings: list[str] = field(default_factory=list)
    """What whoever asks is told, though the write is made."""

    @property
    def changes_spec(self) -> bool:
        """Whether it is about the resource itself, and not about a part of it such as its status."""
        return self.operation in ("CREATE", "UPDATE") and not self.subresource

    def refused(self, why: str) -> Forbidden:
        """The error in Kubernetes' own words."""
        return Forbidden(f'{self.kind.resource} "{self.key.name}" is forbidden: {why}', key=self.key)


class Plugin(Protocol):
    """One question of the chain."""

    def validate(self, request: AdmissionRequest) -> list[str]:
        """Warnings for whoever asks. Raises an ApiError to refuse."""
        ...
