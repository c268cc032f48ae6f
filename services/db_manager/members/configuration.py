"""The configuration of one member: its parameters, whom it follows, and for whom its commits wait. Pure."""

from __future__ import annotations

from crds.engines.postgresql import PASSWORDS, REPLICA_LINE
from services.db_manager.kinds import Database, Endpoint
from services.db_manager.members.sizes import with_least_sizes
from services.db_manager.names import slot_name
from services.db_manager.parameters import configuration


def member_configuration(database: Database, member: str, upstream: Endpoint | None = None) -> str:
    """The text of its postgresql.conf. `upstream`: where the primary answers, of a replica."""
    waits_for = synchronous_names(database, member)
    ours = {"synchronous_standby_names": waits_for} if waits_for else {}
    if upstream is None:
        return configuration(database.parameters_in_file, ours)
    connection = {
        "host": upstream.host,
        "port": str(upstream.port),
        "user": "postgres",
        "passfile": PASSWORDS,
        "application_name": member,
    }
    ours["primary_conninfo"] = " ".join(f"{name}={value}" for name, value in connection.items())
    ours["primary_slot_name"] = slot_name(member)
    line = f"{REPLICA_LINE}{upstream.host} {upstream.port}\n"
    parameters = with_least_sizes(database.parameters_in_file, database.status.replica_parameters)
    return line + configuration(parameters, ours)


def synchronous_names(database: Database, member: str) -> str:
    """For whom its commits wait; empty for nobody. Every member has it, so that one that is promoted waits
    for another from its first commit on.
    """
    if not database.waits_for_another:
        return ""
    others = ", ".join(f'"{each}"' for each in database.member_names if each != member)
    return f"ANY 1 ({others})"
