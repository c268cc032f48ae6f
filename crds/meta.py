"""What every resource carries besides its own spec and status (Kubernetes ObjectMeta)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from crds.model import WHEN_USED, Model, NothingAsAbsent, Timestamp
from crds.schema import list_map, list_set


class ObjectKey(NamedTuple):
    """Where a resource lives. `namespace` is empty for kinds that live in none."""

    group: str
    plural: str
    namespace: str
    name: str

    def __str__(self) -> str:
        kind = f"{self.plural}.{self.group}" if self.group else self.plural
        return f"{kind}/{self.namespace}/{self.name}" if self.namespace else f"{kind}/{self.name}"


# Metadata that only the server writes: what clients say of it is not taken.
SERVER_OWNED = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)


class OwnerReference(Model):
    """Says: delete me when the resource with this uid is gone."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Model):
    """Identity, version and housekeeping of one resource. The server owns uid, versions and times."""

    name: str = ""
    generate_name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    deletion_grace_period_seconds: int | None = None
    labels: Annotated[dict[str, str] | None, NothingAsAbsent] = None
    annotations: Annotated[dict[str, str] | None, NothingAsAbsent] = None
    finalizers: Annotated[list[str] | None, NothingAsAbsent, Field(json_schema_extra=list_set())] = None
    owner_references: Annotated[
        list[OwnerReference] | None, NothingAsAbsent, Field(json_schema_extra=list_map("uid"))
    ] = None
    managed_fields: list[dict[str, Any]] | None = None
    self_link: str | None = None


class Condition(Model):
    """One observed truth about a resource, in words a person can act on (Kubernetes `metav1.Condition`)."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str = ""
    message: str = ""
    last_transition_time: Timestamp | None = None
    observed_generation: int | None = None


class Spec(Model):
    """What is wanted. Subclasses add fields; the empty spec is legal."""

    model_config = WHEN_USED


class Status(Model):
    """What was seen. Written by exactly one reconciler; people only read it."""

    model_config = WHEN_USED

    observed_generation: int | None = None
    conditions: list[Condition] = Field(default_factory=list, json_schema_extra=list_map("type"))


def condition(conditions: list[Condition], kind: str) -> Condition | None:
    """The condition of that type, or None."""
    return next((each for each in conditions if each.type == kind), None)


def is_true(conditions: list[Condition], kind: str) -> bool:
    """Whether that condition stands, and is True."""
    found = condition(conditions, kind)
    return found is not None and found.status == "True"


def drop_condition(conditions: list[Condition], kind: str) -> None:
    """Nothing is said of that any more."""
    conditions[:] = [each for each in conditions if each.type != kind]


def set_condition(conditions: list[Condition], new: Condition, *, now: datetime) -> None:
    """Put `new` in place of its predecessor. The transition time moves only when the status does,

    so writing the same truth again changes nothing, and the store sees no new version.
    """
    old = condition(conditions, new.type)
    if old is not None and old.status == new.status:
        new = new.model_copy(update={"last_transition_time": old.last_transition_time})
    else:
        new = new.model_copy(update={"last_transition_time": now})
    if old is None:
        conditions.append(new)
    else:
        conditions[conditions.index(old)] = new
