"""The configuration of one Valkey server of a Database: its parameters, what it keeps, whom it follows. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from crds.engines.valkey import HAS_DATA, SUPERUSER, USERS
from services.db_manager.kinds import Database, Endpoint
from services.db_manager.valkey.parameters import quoted

_STOP_SECONDS = 2
"""What replicas lack when their primary is stopped they get meanwhile, within the grace of a member."""


def valkey_configuration(database: Database, upstream: Endpoint | None = None) -> str:
    """The text of its valkey.conf. `upstream`: where the primary answers, of a replica."""
    ours = {
        "aclfile": USERS,
        "masteruser": SUPERUSER,
        "appendfsync": syncs_of(database),
        "save": quoted(""),
        "shutdown-timeout": str(_STOP_SECONDS),
    }
    if upstream is not None:
        ours["replicaof"] = f"{upstream.host} {upstream.port}"
    # Others begin once it takes writes: it has written by then. It leads nobody into copying that it lost all.
    known = [HAS_DATA] if upstream is None and len(database.status.members) > 1 else []
    lines = [f"{name} {value}" for name, value in ours.items()]
    lines += [f"{name} {quoted(value)}" for name, value in sorted(parameters_in_force(database).items())]
    return "".join(f"{each}\n" for each in ("# Made of spec.parameters of the Database.", *known, *lines))


def syncs_of(database: Database) -> str:
    """When its writes are on the disk: each before it is acknowledged, or each second's."""
    return "always" if database.spec.durability == "strict" else "everysec"


def parameters_in_force(database: Database) -> Mapping[str, str]:
    """Those that the server has taken: it does not start with others in its file."""
    accepted = database.status.accepted_parameters
    return {name: accepted[name] for name in database.spec.parameters if name in accepted}
