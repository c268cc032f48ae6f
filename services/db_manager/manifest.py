"""The front page of db_manager: databases as resources, run as Services with engines."""

from __future__ import annotations

from crds.managed import Grant, ManagedService
from services.db_manager.backup_kinds import DATABASE_BACKUP
from services.db_manager.kinds import DATABASE
from services.db_manager.rds.parameter_group import DATABASE_PARAMETER_GROUP
from services.db_manager.user_kinds import DATABASE_USER

_ALL = ("get", "list", "watch", "create", "update", "patch", "delete")
_LOOKED_AFTER = ("get", "list", "watch", "patch", "update")
_OWN = ("get", "create", "update", "delete")

MANIFEST = ManagedService(
    name="db_manager",
    title="Databases",
    summary="Databases that heal: PostgreSQL and Valkey, their credentials as Secrets, and the API of Amazon RDS.",
    create="services.db_manager.app:create",
    access_rules="services.db_manager.rds.access_rules:RULES",
    kinds=(DATABASE, DATABASE_USER, DATABASE_PARAMETER_GROUP, DATABASE_BACKUP),
    speaks=("rds",),
    protocol="query",
    asks=("storage_manager",),
    starts_enabled=True,
    activation="onDemand",
    grants=(
        Grant("databases", _ALL),
        Grant("databaseusers", _LOOKED_AFTER),
        Grant("databaseparametergroups", _ALL),
        Grant("databasebackups", _ALL),
        # The objects below `databases/` of a Bucket that a Database names, in its own namespace.
        Grant("buckets", ("get", "list", "update")),
        Grant("events", ("list",), group=""),
        Grant("services", _ALL),
        Grant("secrets", _OWN, group=""),
        Grant("configmaps", _OWN, group=""),
    ),
    acts=(
        Grant("databases", ("get", "list", "create", "update", "patch", "delete")),
        Grant("databaseparametergroups", ("get", "list", "create", "update", "patch", "delete")),
        Grant("databasebackups", ("get", "list", "create", "update", "patch", "delete")),
    ),
    keeps_data=True,
    backup="services.db_manager.backup:HOOKS",
)
