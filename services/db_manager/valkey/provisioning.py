"""What the reconciler of Databases does inside Valkey servers: their owner, their parameters, whom they follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from services.db_manager.faults import SERVER_FAULTS
from services.db_manager.kinds import Database, Endpoint
from services.db_manager.parameters import configuration_digest
from services.db_manager.server import ServerFacts
from services.db_manager.valkey import server
from services.db_manager.valkey.acl import ensure_user, password_digest
from services.db_manager.valkey.configuration import syncs_of, valkey_configuration
from services.db_manager.valkey.connection import ValkeyConnection


async def provision(
    database: Database, primary: Endpoint, others: Iterable[Endpoint], root: str, password: str
) -> ServerFacts:
    """All of them: the primary, and the others as far as they answer now. `root`: the superuser's password;
    `password`: the owner's. Raises ValkeyError, OSError, TimeoutError.
    """
    async with await server.opened(primary, root) as connection:
        refused = await _bring(connection, database, password)
        found = await server.facts(connection, refused, configuration_digest(valkey_configuration(database)))
    for each in others:
        with suppress(*SERVER_FAULTS):  # it is looked at again
            async with await server.opened(each, root) as connection:
                await server.follow(connection, primary)
                await _bring(connection, database, password)
    return found


async def _bring(connection: ValkeyConnection, database: Database, password: str) -> Mapping[str, str]:
    """Returns what it says against parameters that it does not take."""
    await server.keep_durable(connection, syncs_of(database))
    await ensure_user(connection, database.owner, "owner", [password_digest(password)])
    return await server.set_parameters(connection, database.spec.parameters, database.status.accepted_parameters)
