"""DatabaseUser: somebody in a Database besides its owner, with credentials of their own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from crds.invariants import Body, Transition, changed, on, spec_of
from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Model, Timestamp
from crds.names import DnsLabel
from services.db_manager.names import sql_name, sql_name_fault

_LONGEST_ROLE = 61
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$", max_length=_LONGEST_ROLE)]
"""Two signs are left for its logins: `web_0`, `web_1`."""
Privileges = Literal["read", "write", "owner"]
_LASTING = ("database", "username")


class Rotation(Model):
    """`days`: how often its password changes. The one before stays good until the next change."""

    days: Annotated[int, Field(ge=1, le=1000)]


class DatabaseUserSpec(Spec):
    """`database`: a Database of the namespace. `username`: what it is called there; without, as the resource, with
    `_` for `-`. `privileges`: `read` sees every table, `write` changes rows, `owner` does all that the owner of the
    database may; they hold for what the owner makes later, too.
    """

    database: DnsLabel
    username: UserName | None = None
    privileges: Privileges = "write"
    rotation: Rotation | None = None

    @field_validator("username")
    @classmethod
    def _is_free(cls, name: str | None) -> str | None:
        if name and (fault := sql_name_fault(name)):
            raise ValueError(fault)
        return name


class DatabaseUserStatus(Status):
    """`credentials`: the Secret with `host port username password database uri`. `login`: who it names now.
    `privileges`: what was granted last.
    """

    credentials: str = ""
    username: str = ""
    login: str = ""
    privileges: str = ""
    rotated_at: Timestamp | None = None
    next_rotation_at: Timestamp | None = None


class DatabaseUser(Resource[DatabaseUserSpec, DatabaseUserStatus]):
    spec: DatabaseUserSpec
    status: DatabaseUserStatus = Field(default_factory=DatabaseUserStatus)

    @property
    def role(self) -> str:
        """The role that has its privileges."""
        return self.spec.username or sql_name(self.metadata.name)


@on("create", "update", exclusive=True)
def has_a_name_of_its_own(transition: Transition) -> None:
    """Two of one name in a database would take each other's password away."""
    for field in _LASTING if transition.operation == "update" else ():
        if changed(transition, field):
            raise transition.invalid(f"spec.{field}", "cannot be changed; make another DatabaseUser")
    ours = _named(transition.after)
    if transition.operation == "create" and len(ours[1]) > _LONGEST_ROLE:
        raise transition.invalid("spec.username", f"is needed: {ours[1]} has more than {_LONGEST_ROLE} signs")
    for other in transition.view.list("databaseusers", transition.key.namespace):
        name = other["metadata"]["name"]
        if name != transition.key.name and _named(other) == ours:
            raise transition.invalid("spec.username", f"the DatabaseUser {name} is called so in that Database")


def _named(body: Body) -> tuple[str, str]:
    spec = spec_of(body)
    return str(spec.get("database")), str(spec.get("username") or sql_name(body["metadata"]["name"]))


def _standing(user: dict[str, Any]) -> str:
    """Why its last pass ended as it did, in a list."""
    conditions = (user.get("status") or {}).get("conditions") or ()
    said = next((each for each in conditions if each.get("type") == "Reconciled"), None)
    return str(said.get("reason")) if said else "waits for db-manager"


DATABASE_USER = Kind(
    name="DatabaseUser",
    plural="databaseusers",
    singular="databaseuser",
    short_names=("dbuser",),
    categories=("all",),
    model=DatabaseUser,
    description="Somebody in a Database, with privileges and credentials of their own.",
    invariants=(has_a_name_of_its_own,),
    columns=(
        Column("Name", "metadata.name"),
        Column("Database", "spec.database"),
        Column("Privileges", "spec.privileges"),
        Column("Status", "status.conditions", read=_standing),
        Column("Login", "status.login", priority=1),
        Column("Credentials", "status.credentials", priority=1),
        Column("Rotated", "status.rotatedAt", "date"),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
