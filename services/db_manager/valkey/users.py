"""A DatabaseUser in a Valkey server: a user with its last two passwords, so that a rotation ends no connection and
breaks no pool, which opens new ones with what it knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from services.db_manager.faults import SERVER_FAULTS
from services.db_manager.kinds import Database, Endpoint
from services.db_manager.member import read_address
from services.db_manager.user_kinds import DatabaseUser
from services.db_manager.valkey import server
from services.db_manager.valkey.acl import digests_of, ensure_user, password_digest, remove_user


@dataclass(frozen=True, slots=True)
class ValkeyServers:
    """`root`: the superuser's password."""

    primary: Endpoint
    others: tuple[Endpoint, ...]
    root: str

    @classmethod
    def of(cls, database: Database, endpoint: Endpoint, root: str) -> ValkeyServers:
        return cls(endpoint, tuple(other_members(database)), root)


async def ensure(servers: ValkeyServers, user: DatabaseUser, password: str, following: str) -> None:
    """In all of them that answer. `following`: the password after that one, where it is rotated now; else empty.

    Raises ValkeyError, OSError, TimeoutError for the primary.
    """
    async with await server.opened(servers.primary, servers.root) as connection:
        digests = _kept(await digests_of(connection, user.role), password, following)
        await ensure_user(connection, user.role, user.spec.privileges, digests)
    for each in servers.others:
        with suppress(*SERVER_FAULTS):  # it is looked at again
            async with await server.opened(each, servers.root) as connection:
                await ensure_user(connection, user.role, user.spec.privileges, digests)


async def drop(servers: ValkeyServers, user: DatabaseUser) -> None:
    """Raises ValkeyError, OSError, TimeoutError: also where a replica does not answer, which would keep the user."""
    for each in (servers.primary, *servers.others):
        async with await server.opened(each, servers.root) as connection:
            await remove_user(connection, user.role)


def other_members(database: Database) -> Iterator[Endpoint]:
    """Where those besides the primary answer, or did when they were seen last."""
    for each in database.status.members:
        if each.name != database.status.primary and (at := read_address(each.address)) is not None:
            yield at


def _kept(there: list[str], password: str, following: str) -> list[str]:
    """A password that people have put into the Secret is the only one: the ones before may have leaked."""
    current = password_digest(password)
    if following:
        return [current, password_digest(following)]
    before = [each for each in there if each != current]
    return [before[-1], current] if current in there and before else [current]
