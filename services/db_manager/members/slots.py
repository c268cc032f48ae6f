"""What is done inside the servers for their members: what the primary keeps of its log for each, and promotion."""

from __future__ import annotations

from collections.abc import Collection

from services.db_manager import server
from services.db_manager.kinds import Database, Endpoint
from services.db_manager.names import SLOTS, slot_name
from services.sdk.postgres import PostgresConnection, quoted_text

_THERE = f"SELECT slot_name, active::int::text FROM pg_replication_slots WHERE starts_with(slot_name, '{SLOTS}')"  # noqa: S608
_LOST = "SELECT slot_name FROM pg_replication_slots WHERE wal_status = 'lost' AND NOT active"


async def keep_slots(connection: PostgresConnection, wanted: Collection[str]) -> None:
    """One for each member that follows, and none for others. One whose log is lost begins anew, and its member with
    it. Raises PostgresError, OSError, TimeoutError.
    """
    there = {name or "": active == "1" for name, active in await connection.fetch(_THERE)}
    lost = {name for (name,) in await connection.fetch(_LOST)}
    for name in [each for each, active in there.items() if not active and (each not in wanted or each in lost)]:
        await connection.fetch(f"SELECT pg_drop_replication_slot({quoted_text(name)})")
        del there[name]
    for name in sorted(set(wanted) - set(there)):
        await connection.fetch(f"SELECT pg_create_physical_replication_slot({quoted_text(name)}, true)")


def slots_of(database: Database) -> list[str]:
    """Of the members that are to follow its primary."""
    return [slot_name(each) for each in database.member_names if each != database.status.primary]


async def promote(endpoint: Endpoint, password: str, slots: Collection[str]) -> None:
    """Have a replica take writes, and keep its log for the others. Raises PostgresError, OSError, TimeoutError."""
    async with server.opened(endpoint, server.SUPERUSER, password, "postgres") as connection:
        await connection.fetch("SELECT pg_promote(true, 8)::int::text")
        await keep_slots(connection, slots)
