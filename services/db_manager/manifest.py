"""The front page of db_manager: databases as resources, run as Services with engines."""

from __future__ import annotations

from crds.managed import Grant, ManagedService
from services.db_manager.kinds import DATABASE

_ALL = ("get", "list", "watch", "create", "update", "patch", "delete")
_OWN = ("get", "create", "update", "delete")

MANIFEST = ManagedService(
    name="db_manager",
    title="Databases",
    summary="Databases that heal: PostgreSQL with its credentials as a Secret.",
    create="services.db_manager.app:create",
    kinds=(DATABASE,),
    grants=(
        Grant("databases", ("get", "list", "watch", "patch", "update")),
        Grant("services", _ALL),
        Grant("secrets", _OWN, group=""),
        Grant("configmaps", _OWN, group=""),
    ),
)
