"""Kinds of this service: databases that people ask for by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from crds.kind import Column, Kind, Resource
from crds.kinds.service import ResourceLimits
from crds.lent_rights import LentRight
from crds.meta import Spec, Status
from crds.model import MicroTimestamp, Model, Timestamp
from crds.names import DnsLabel
from crds.quantity import Quantity
from services.db_manager.backup_kinds import DATABASE_BACKUP
from services.db_manager.conditions import DatabaseCondition, RestorePhase
from services.db_manager.invariants import (
    has_a_name_for_its_addresses,
    has_a_name_for_its_parts,
    has_parameters_of_its_version,
    has_parameters_that_keep_its_members,
    keeps_its_archive,
    keeps_its_names,
)
from services.db_manager.names import MOST_MEMBERS, SqlName, member_name, sql_name, sql_name_fault
from services.db_manager.parameters import parameter_fault
from services.db_manager.rds.attributes import RdsAttributes
from services.db_manager.rds.invariants import is_protected
from services.db_manager.rds.parameter_group import PARAMETER_GROUPS
from services.db_manager.valkey.acl import RESERVED
from services.db_manager.valkey.parameters import valkey_parameter_fault

Engine = Literal["postgresql", "valkey"]
MOST_LOG_KEPT = "16GB"
"""What a server keeps of its log while it cannot be stored, so that its disk does not fill: a parameter."""


LOG_KEPT = "256MB"
"""What each of several servers keeps of its log in any case: by it one that was the primary finds back."""


_SHIP_SECONDS = 10


class Exposure(Model):
    """`port`: where it is reached on every address of its machine, besides this machine's own. What goes over the
    network there is in the clear, passwords excepted (SCRAM).
    """

    port: Annotated[int, Field(ge=1024, le=65535)]


class BackupPolicy(Model):
    """`bucket`: a Bucket of the namespace; without one, a folder of db-manager on its machine. `retentionDays`: how
    far back its moments can be brought back. `everyHours`: base backups. `shipSeconds`: its log, and so what is lost
    at most with its machine. `final`: whether a backup is taken when it is deleted. `drillDays`: how
    often what is stored last is restored, to see that it can be; without, never.
    """

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    retention_days: Annotated[int, Field(ge=1, le=365)] = 7
    every_hours: Annotated[int, Field(ge=1, le=168)] = 24
    ship_seconds: Annotated[int, Field(ge=1, le=3600)] = _SHIP_SECONDS
    final: bool = True
    drill_days: Annotated[int, Field(ge=1, le=365)] | None = None


class RestoreSource(Model):
    """What a Database begins with: a DatabaseBackup of the namespace (`backup`), or what another Database of it
    (`database`) held at a `time`; without one, at the latest there is.
    """

    backup: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")] | None = None
    database: DnsLabel | None = None
    time: MicroTimestamp | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.backup is None) == (self.database is None):
            raise ValueError("give either backup or database")
        if self.time is not None and self.time.tzinfo is None:
            raise ValueError("time: needs its zone, as 2026-01-31T12:00:00Z")
        if self.time is not None and self.database is None:
            raise ValueError("time: a backup is of one moment; give database and time")
        return self


class DatabaseSpec(Spec):
    """`engine`: `postgresql` or `valkey`. `version`: a version or its beginning (`15`); without, that of the data, or
    else the newest there is. `database` and `username`: the first database and the role that owns it; without, both
    are called as the resource, with `_` for `-`. `parameters`: settings of the server, by their names. `storage`:
    what its data is meant to take; reported beside what it takes. `members`: servers, of which one takes writes and
    the others follow it. `durability`: `strict` acknowledges a commit once two of them have it on their disks, and
    Valkey's a write once it is on its own. `enabled`: false
    stops it and keeps its data. `backup`: its log and base backups are kept, so that its moments can be brought back.
    `restore`: what it begins with. `rds`: what
    RDS keeps of it as a DB instance, of one that was made there.
    """

    engine: Engine
    version: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+){0,3}$", max_length=32)] | None = None
    members: Annotated[int, Field(ge=1, le=MOST_MEMBERS)] = 1
    durability: Literal["standard", "strict"] = "standard"
    database: SqlName | None = None
    username: SqlName | None = None
    parameters: dict[str, str] = Field(default_factory=dict)
    resources: ResourceLimits = Field(default_factory=ResourceLimits)
    storage: Quantity | None = None
    exposure: Exposure | None = None
    enabled: bool = True
    backup: BackupPolicy | None = None
    restore: RestoreSource | None = None
    rds: RdsAttributes | None = None

    @field_validator("database", "username")
    @classmethod
    def _is_free(cls, name: str | None) -> str | None:
        if name and (fault := sql_name_fault(name)):
            raise ValueError(fault)
        return name

    @model_validator(mode="after")
    def _has_somebody_to_wait_for(self) -> Self:
        if self.engine == "postgresql" and self.durability == "strict" and self.members == 1:
            raise ValueError("durability: strict needs another member to have what is acknowledged; set members to 3")
        return self

    @model_validator(mode="after")
    def _is_what_valkey_can_be(self) -> Self:
        if self.engine == "valkey" and (fault := next(_valkey_faults(self), "")):
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _parameters_can_be_set(self) -> Self:
        fault_of = valkey_parameter_fault if self.engine == "valkey" else parameter_fault
        for name, value in self.parameters.items():
            if fault := fault_of(name, value):
                raise ValueError(f"parameters: {fault}")
        return self


def _valkey_faults(spec: DatabaseSpec) -> Iterator[str]:
    """What Valkey does not have, beginning with the field."""
    if spec.database is not None:
        yield "database: Valkey's databases are numbers, and its users have all of them; leave it out"
    if spec.username in RESERVED:
        yield f"username: {spec.username} is the server's own; choose another name"
    if spec.exposure is not None:
        yield "exposure: clients of Valkey send their password in the clear; leave it out, and give them a tunnel"
    if spec.rds is not None:
        yield "rds: only PostgreSQL is a DB instance; leave it out"
    if spec.durability == "strict" and spec.members > 1:
        yield "durability: a replica of Valkey gets what is acknowledged a moment later; strict takes members: 1"
    if spec.backup is not None and spec.backup.ship_seconds != _SHIP_SECONDS:
        yield "backup.shipSeconds: Valkey has no log that is stored; leave it out"


class Endpoint(Model):
    """Where it is reached from its machine."""

    host: str
    port: int


class MemberStatus(Model):
    """One server: the Service it runs as, whether it may be written to (`primary`), and what is said of it.
    `lagBytes`: of a replica that follows, what it lacked of the log when it was known last.
    """

    name: str
    role: Literal["primary", "replica", "unknown"] = "unknown"
    ready: bool = False
    address: str = ""
    message: str = ""
    lag_bytes: int | None = None


class Switch(Model):
    """`old` gives way to `new`, because of the `reason`. `promoting`: `old` is gone, and there is no way back."""

    old: str
    new: str
    reason: str = ""
    since: MicroTimestamp | None = None
    promoting: bool = False


class BackupStatus(Model):
    """`earliestRestorableTime` to `latestRestorableTime`: every moment between can be brought back. `latestLsn`: how
    far the log of the server `system` was stored at the latest.
    """

    bucket: str = ""
    earliest_restorable_time: MicroTimestamp | None = None
    latest_restorable_time: MicroTimestamp | None = None
    latest_lsn: str = ""
    system: str = ""
    last_base_backup_time: MicroTimestamp | None = None
    base_backups: int = 0
    size: int = 0


class DrillStatus(Model):
    """The last drill: `time` is the moment that was brought back, `passed` whether that answered."""

    began_at: Timestamp
    finished_at: Timestamp | None = None
    passed: bool = False
    time: MicroTimestamp | None = None
    message: str = ""


class RestoreStatus(Model):
    """`database`, `username`: what the source called its first database and the owner of it. `version`: its server's.
    `base`: the base backup it begins with; `time`: the moment that is brought back. `bucket`, `archive`, `folder`:
    where that lies; `latestLsn`, `system`: as in the backups it is of. `bytes`: what has been brought in.
    """

    phase: RestorePhase = RestorePhase.VERIFYING
    bucket: str = ""
    archive: str = ""
    folder: str = ""
    base: str = ""
    latest_lsn: str = ""
    system: str = ""
    time: MicroTimestamp | None = None
    version: str = ""
    database: str = ""
    username: str = ""
    bytes: int = 0


class DatabaseStatus(Status):
    """`credentials`: the Secret with `host port username password database uri`. `pendingRestart`: parameters that
    count only after a restart of the server. `acceptedParameters`: those it took last. `refusedParameters`: values of
    the spec that it does not take; it has the accepted ones in their place, so that it starts again. `primary`: the
    member that takes writes, also while it does not answer. `readEndpoint`: where its replicas answer. `switch`:
    another one is about to become the primary. `switchedAt`: the wish for that which was carried out last.
    `replicaParameters`: what replicas have at least of the parameters that a primary has had more of.
    `copiedAnew`: when a member that did not follow any more was taken away, to be copied anew.
    """

    endpoint: Endpoint | None = None
    credentials: str = ""
    database: str = ""
    username: str = ""
    version: str = ""
    primary: str = ""
    members: list[MemberStatus] = Field(default_factory=list)
    pending_restart: list[str] = Field(default_factory=list)
    accepted_parameters: dict[str, str] = Field(default_factory=dict)
    refused_parameters: dict[str, str] = Field(default_factory=dict)
    restarted_at: str = ""
    read_endpoint: Endpoint | None = None
    switch: Switch | None = None
    switched_at: str = ""
    replica_parameters: dict[str, str] = Field(default_factory=dict)
    copied_anew: dict[str, MicroTimestamp] = Field(default_factory=dict)
    backup: BackupStatus | None = None
    drill: DrillStatus | None = None
    restore: RestoreStatus | None = None


class Database(Resource[DatabaseSpec, DatabaseStatus]):
    spec: DatabaseSpec
    status: DatabaseStatus = Field(default_factory=DatabaseStatus)

    @property
    def sql_database(self) -> str:
        """What its first database is called."""
        restored = self.status.restore.database if self.status.restore else ""
        first = "0" if self.is_valkey else sql_name(self.metadata.name)
        return self.spec.database or restored or first

    @property
    def owner(self) -> str:
        """The role of `<name>-credentials`."""
        restored = self.status.restore.username if self.status.restore else ""
        name = sql_name(self.metadata.name)
        return self.spec.username or restored or (f"{name}_db" if self.is_valkey and name in RESERVED else name)

    @property
    def is_valkey(self) -> bool:
        return self.spec.engine == "valkey"

    @property
    def waits_for_another(self) -> bool:
        """Whether a commit is acknowledged only once another member has it."""
        return self.spec.durability == "strict" and not self.is_valkey

    @property
    def member_names(self) -> list[str]:
        """What the Services of all its members are called, those that there are to be."""
        return [member_name(self.metadata.name, index) for index in range(self.spec.members)]

    @property
    def is_being_restored(self) -> bool:
        """Whether what it is to begin with is not in it yet."""
        status = self.status.restore
        return self.spec.restore is not None and (status is None or status.phase != RestorePhase.DONE)

    @property
    def parameters_in_file(self) -> dict[str, str]:
        """Those of the spec; of what the server refused, what it accepted before."""
        accepted, refused = self.status.accepted_parameters, self.status.refused_parameters
        chosen = {
            name: accepted.get(name) if refused.get(name) == value else value
            for name, value in self.spec.parameters.items()
        }
        kept = {"max_slot_wal_keep_size": MOST_LOG_KEPT} if self.spec.backup or self.spec.members > 1 else {}
        if self.spec.members > 1:
            kept["wal_keep_size"] = LOG_KEPT
        return {**kept, **{name: value for name, value in chosen.items() if value is not None}}


def _read(spec: Mapping[str, Any]) -> list[LentRight]:
    """Whoever makes a Database gets to know what it begins with."""
    restore = spec.get("restore")  # as it was sent: nothing is proven of it yet
    if not isinstance(restore, Mapping):
        return []
    sources = {DATABASE_BACKUP.plural: restore.get("backup"), "databases": restore.get("database")}
    return [
        LentRight("get", plural, name, once=True)
        for plural, name in sources.items()
        if isinstance(name, str) and name
    ]


def _standing(database: dict[str, Any]) -> str:
    """The reason of its condition Ready, in a list."""
    conditions = (database.get("status") or {}).get("conditions") or ()
    ready = next((each for each in conditions if each.get("type") == DatabaseCondition.READY), None)
    return str(ready.get("reason")) if ready else "waits for db-manager"


DATABASE = Kind(
    name="Database",
    plural="databases",
    singular="database",
    short_names=("db",),
    categories=("all",),
    model=Database,
    description="A database: its servers, its credentials, its parameters.",
    invariants=(
        has_a_name_for_its_parts,
        has_a_name_for_its_addresses,
        keeps_its_names,
        keeps_its_archive,
        has_parameters_of_its_version,
        has_parameters_that_keep_its_members,
        is_protected,
    ),
    references=(PARAMETER_GROUPS,),
    lends=_read,
    selectable=("spec.engine",),
    columns=(
        Column("Name", "metadata.name"),
        Column("Engine", "spec.engine"),
        Column("Version", "status.version"),
        Column("Status", "status.conditions", read=_standing),
        Column("Primary", "status.primary", priority=1),
        Column("Host", "status.endpoint.host"),
        Column("Port", "status.endpoint.port"),
        Column("Restorable", "status.backup.latestRestorableTime", "date"),
        Column("Credentials", "status.credentials", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
