"""Parameter groups: settings of servers under a name, for all Databases that name it (`spec.rds.parameterGroup`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from crds.invariants import Body, Reference, Transition, changed, is_dying, on, spec_of
from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Model
from services.db_manager.invariants import require_known
from services.db_manager.parameters import parameter_fault
from services.db_manager.rds.settings_table import families
from services.sdk.aws.tags import tag_fault

ApplyMethod = Literal["immediate", "pending-reboot"]


class GroupParameter(Model):
    """`value`: None for one that was reset. `applyMethod`: whether a Database learns it at once, or at its next
    restart.
    """

    value: Annotated[str, Field(max_length=4096)] | None = None
    apply_method: ApplyMethod = "immediate"


class DatabaseParameterGroupSpec(Spec):
    """`family`: `postgres15`, what it is for. `region`: where AWS clients find it, empty: everywhere."""

    family: Annotated[str, Field(max_length=32)]
    region: Annotated[str, Field(max_length=32, pattern=r"^[a-z0-9-]*$")] = ""
    description: Annotated[str, Field(max_length=255)] = ""
    parameters: dict[str, GroupParameter] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)

    @field_validator("family")
    @classmethod
    def _is_known(cls, family: str) -> str:
        if family not in families():
            raise ValueError(f"there is no family {family}; known are {', '.join(families())}")
        return family

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        if fault := tag_fault(tags):
            raise ValueError(fault)
        return tags

    @model_validator(mode="after")
    def _parameters_can_be_set(self) -> Self:
        for name, each in self.parameters.items():
            if fault := parameter_fault(name, each.value or ""):
                raise ValueError(f"parameters: {fault}")
        return self

    def values(self) -> dict[str, str]:
        """What a server would have that has just been restarted."""
        return {name: each.value for name, each in self.parameters.items() if each.value is not None}


class DatabaseParameterGroup(Resource[DatabaseParameterGroupSpec, Status]):
    spec: DatabaseParameterGroupSpec
    status: Status = Field(default_factory=Status)


def wanted_now(spec: DatabaseParameterGroupSpec, present: Mapping[str, str]) -> dict[str, str]:
    """The parameters that a Database is to have before its next restart. `present`: those it has."""
    wanted: dict[str, str] = {}
    for name, each in spec.parameters.items():
        value = each.value if each.apply_method == "immediate" else present.get(name)
        if value is not None:
            wanted[name] = value
    return wanted


@on("update")
def keeps_its_family(transition: Transition) -> None:
    """Its parameters would be another server's."""
    if changed(transition, "family"):
        raise transition.invalid("spec.family", "cannot be changed; make another group")


@on("create", "update")
def has_parameters_of_its_family(transition: Transition) -> None:
    """Its Databases would refuse them."""
    if transition.operation == "create" or changed(transition, "parameters"):
        spec = spec_of(transition.after)
        require_known(transition, spec, str(spec.get("family")))


def group_names(database: Body) -> Iterable[str]:
    """The group that a Database has its parameters of."""
    name = (spec_of(database).get("rds") or {}).get("parameterGroup")
    return [name] if name else []


PARAMETER_GROUPS = Reference("databaseparametergroups", group_names)
"""A Database whose group had gone would keep its parameters, and nobody could say from where."""


@on("delete")
def outlives_its_databases(transition: Transition) -> None:
    """A group that Databases name stays."""
    if transition.cascade or is_dying(transition.before):
        return
    key = transition.key
    users = transition.view.referrers(transition.kind.plural, key.namespace or None)
    for each in users:
        if each.name == key.name and not is_dying(each.body):
            raise transition.conflict("InUse", f"{each} uses it; give that one another group first")


def _number_of_parameters(group: dict[str, Any]) -> int:
    return len((group.get("spec") or {}).get("parameters") or ())


DATABASE_PARAMETER_GROUP = Kind(
    name="DatabaseParameterGroup",
    plural="databaseparametergroups",
    singular="databaseparametergroup",
    short_names=("dbpg",),
    model=DatabaseParameterGroup,
    description="Settings of database servers under a name, for all Databases that use it.",
    invariants=(keeps_its_family, has_parameters_of_its_family, outlives_its_databases),
    columns=(
        Column("Name", "metadata.name"),
        Column("Family", "spec.family"),
        Column("Parameters", "spec.parameters", "integer", read=_number_of_parameters),
        Column("Description", "spec.description", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
