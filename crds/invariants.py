"""What must hold for every write of a kind, whichever way it came: kubectl, AWS, CLI, dashboard, garbage collection.

A kind declares its invariants (`Kind(invariants=...)`); the write path asks them about each write that is about to
happen, after its form was checked and before it is stored. They are pure: what they need to know is in the
Transition, and they raise an `ApiError` to refuse. `Kind(references=...)` says which resources of other kinds this
one cannot do without, so that those can be refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from crds.errors import Cause, Conflict, Forbidden, Invalid
from crds.meta import ObjectKey

if TYPE_CHECKING:
    from crds.kind import Kind

Operation = Literal["create", "update", "delete"]
Body = Mapping[str, Any]
CONDUCTOR = "system:conductor"
GROUP = "aerekos.cloud"


class Referrer(NamedTuple):
    """A resource that names another one as `name`."""

    kind: Kind[Any]
    body: Body
    name: str

    def __str__(self) -> str:
        return f"{self.kind.name} {self.body['metadata']['name']}"


class View(Protocol):
    """What else is stored at this moment. Shared: nothing of it may be changed."""

    def list(self, plural: str, namespace: str | None = None, group: str = GROUP) -> Iterable[Body]:
        """Of one namespace, or all of them."""
        ...

    def referrers(self, plural: str, namespace: str | None = None, group: str = GROUP) -> Iterable[Referrer]:
        """Whatever names resources of that kind, and by which name."""
        ...

    def needs_of(self, managed: str) -> tuple[str, ...]:
        """The managed services that this one cannot do without."""
        ...

    def undeletable(self, namespace: str) -> Iterable[str]:
        """Why something in that namespace could not be deleted together with it."""
        ...


@dataclass(frozen=True, slots=True)
class Transition:
    """One write that is about to happen.

    `delete` is both the wish for deletion (`new`: the marked resource) and the end of it (`new` None: nothing holds
    it back any more). `by`: who writes. `cascade`: the namespace around it is being deleted. `together`: this is
    asked ahead, of everything in a namespace at once, so what needs this one goes along.
    """

    kind: Kind[Any]
    key: ObjectKey
    operation: Operation
    old: Body | None
    new: Body | None
    by: str
    now: datetime
    view: View
    cascade: bool = False
    together: bool = False

    @property
    def before(self) -> Body:
        """The resource as it is; empty at a creation."""
        return self.old or {}

    @property
    def after(self) -> Body:
        """The resource as it would be; empty when it would be gone."""
        return self.new or {}

    def conflict(self, reason: str, text: str) -> Conflict:
        """409: it cannot be so now. `reason` is a word programs can look for among the causes."""
        said = f'{self.kind.resource} "{self.key.name}": {text}'
        return Conflict(said, key=self.key, causes=(Cause("metadata.name", text, reason),))

    def forbidden(self, text: str) -> Forbidden:
        """403: nobody may, or only somebody else."""
        return Forbidden(f'{self.kind.resource} "{self.key.name}" is forbidden: {text}', key=self.key)

    def invalid(self, field: str, text: str) -> Invalid:
        """422: that field cannot have that value, or not any more."""
        said = f'{self.kind.resource} "{self.key.name}" is invalid: {field}: {text}'
        return Invalid(said, key=self.key, causes=(Cause(field, text, "FieldValueForbidden"),))


@dataclass(frozen=True, slots=True)
class Invariant:
    """`check` raises ApiError. `exclusive`: it looks at other resources of its kind, so no two writes of the kind may
    be judged at once.
    """

    check: Callable[[Transition], None]
    on: frozenset[Operation] = frozenset({"create", "update", "delete"})
    exclusive: bool = False


def on(*operations: Operation, exclusive: bool = False) -> Callable[[Callable[[Transition], None]], Invariant]:
    """A function as an Invariant of those operations."""
    return lambda check: Invariant(check, frozenset(operations), exclusive)


@dataclass(frozen=True, slots=True)
class Reference:
    """The resource needs those of the kind `plural`; `names` reads from it by which names."""

    plural: str
    names: Callable[[Body], Iterable[str]]
    group: str = GROUP


def spec_of(body: Body) -> Mapping[str, Any]:
    """The spec; empty where there is none."""
    return body.get("spec") or {}


def status_of(body: Body) -> Mapping[str, Any]:
    """The status; empty where there is none."""
    return body.get("status") or {}


def changed(transition: Transition, field: str) -> bool:
    """Whether that field of the spec would be another one."""
    return bool(spec_of(transition.before).get(field) != spec_of(transition.after).get(field))


def is_dying(body: Body) -> bool:
    """Whether its deletion was asked for."""
    return bool((body.get("metadata") or {}).get("deletionTimestamp"))
