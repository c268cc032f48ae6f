"""Asks each server of a Database how it stands, once a second, over a connection that is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from services.db_manager import server
from services.db_manager.backups.replication import lsn_of
from services.db_manager.faults import SERVER_FAULTS
from services.db_manager.kinds import Endpoint
from services.db_manager.members.failover import Look
from services.db_manager.members.sizes import SIZES
from services.db_manager.valkey import server as valkey
from services.db_manager.valkey.connection import ValkeyConnection
from services.sdk.postgres import PostgresConnection

LOOK_SECONDS, SECOND_LOOK_SECONDS = 1.5, 1.0
"""Who says nothing for so long does not answer; who did not the time before is asked over a new connection."""
_ASK = f"""
SELECT pg_is_in_recovery()::int::text,
  (CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
   ELSE pg_current_wal_flush_lsn() END)::text,
  (SELECT status FROM pg_stat_wal_receiver), current_setting('synchronous_standby_names'),
  pg_last_wal_replay_lsn()::text, {" || ' ' || ".join(f"current_setting('{each}')" for each in SIZES)}
"""  # noqa: S608 - of constants


@dataclass(frozen=True, slots=True)
class Door:
    """Where a member answers, and the password of its superuser."""

    endpoint: Endpoint
    password: str
    is_valkey: bool = False


class MemberLooks:
    """The connections of one process. `uid`: of the Database."""

    def __init__(self) -> None:
        self._silent: set[tuple[str, str]] = set()
        self._open: dict[tuple[str, str], tuple[Door, PostgresConnection | ValkeyConnection]] = {}

    async def look(self, uid: str, doors: Mapping[str, Door]) -> dict[str, Look]:
        """At all of them at once."""
        found = await asyncio.gather(*(self._look(uid, name, door) for name, door in doors.items()))
        return dict(zip(doors, found, strict=True))

    def forget(self, uids: Collection[str]) -> None:
        """Close those of Databases that are not among these any more."""
        for key in [each for each in self._open if each[0] not in uids]:
            self._close(key)
        self._silent = {each for each in self._silent if each[0] in uids}

    async def close(self) -> None:
        self.forget(())

    async def _look(self, uid: str, name: str, door: Door) -> Look:
        key = (uid, name)
        try:
            async with asyncio.timeout(SECOND_LOOK_SECONDS if key in self._silent else LOOK_SECONDS):
                connection = await self._connection(key, door)
                found = await _look_by(connection)
        except SERVER_FAULTS:
            self._close(key)
            self._silent.add(key)
            return Look()
        self._silent.discard(key)
        return found

    async def _connection(self, key: tuple[str, str], door: Door) -> PostgresConnection | ValkeyConnection:
        kept = self._open.get(key)
        if kept is not None and kept[0] == door:
            return kept[1]
        self._close(key)
        made = await (valkey.opened(door.endpoint, door.password) if door.is_valkey else _opened(door))
        self._open[key] = (door, made)
        return made

    def _close(self, key: tuple[str, str]) -> None:
        kept = self._open.pop(key, None)
        if kept is not None:
            kept[1].close()


async def _opened(door: Door) -> PostgresConnection:
    at = door.endpoint
    return await PostgresConnection.open(
        at.host, at.port, server.SUPERUSER, door.password, "postgres", application=server.APPLICATION
    )


async def _look_by(connection: PostgresConnection | ValkeyConnection) -> Look:
    """Raises what `SERVER_FAULTS` names."""
    if isinstance(connection, ValkeyConnection):
        return await valkey.look(connection)
    return await _asked(connection)


async def _asked(connection: PostgresConnection) -> Look:
    """Raises PostgresError, OSError, TimeoutError."""
    ((recovers, lsn, receiver, names, replayed, sizes),) = await connection.fetch(_ASK)
    return Look(
        answers=True,
        in_recovery=recovers == "1",
        lsn=lsn_of(lsn or "0/0"),
        streaming=receiver == "streaming",
        waits_for=names or "",
        replayed=lsn_of(replayed or "0/0"),
        sizes=tuple(int(each) for each in (sizes or "").split()),
    )
