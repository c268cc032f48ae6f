"""What is done inside a Valkey server, as its superuser: what it says of itself, its parameters, whom it follows.
Everything can be done again without harm.
"""

from __future__ import annotations

from collections.abc import Mapping

from crds.engines.valkey import SUPERUSER
from services.db_manager.kinds import Endpoint
from services.db_manager.members.failover import Look
from services.db_manager.server import ServerFacts, ServerUse
from services.db_manager.valkey.connection import ValkeyConnection, ValkeyError
from services.db_manager.valkey.parameters import PARAMETERS


async def opened(endpoint: Endpoint, password: str) -> ValkeyConnection:
    """A connection of its superuser. Raises ValkeyError, OSError, TimeoutError."""
    return await ValkeyConnection.open(endpoint.host, endpoint.port, SUPERUSER, password)


async def info(connection: ValkeyConnection, section: str = "everything") -> dict[str, str]:
    """What it says of itself, by the names it has. Raises ValkeyError, OSError, TimeoutError."""
    said = await connection.ask("INFO", section)
    lines = str(said or "").splitlines()
    return {name: value for name, colon, value in (each.partition(":") for each in lines) if colon}


def version_of(said: Mapping[str, str]) -> str:
    """Of what `info` says."""
    return said.get("valkey_version") or said.get("redis_version", "")


async def look(connection: ValkeyConnection) -> Look:
    """How it stands among its members. Raises ValkeyError, OSError, TimeoutError; also while it loads its data."""
    said = await info(connection, "replication")
    follows = said.get("role") == "slave"
    offset = _count(said, "slave_repl_offset" if follows else "master_repl_offset")
    await _require_loaded(connection)
    return Look(
        answers=True,
        in_recovery=follows,
        lsn=offset,
        streaming=follows and said.get("master_link_status") == "up",
        replayed=offset,
    )


async def facts(connection: ValkeyConnection, invalid: Mapping[str, str], configuration: str) -> ServerFacts:
    """What it says of itself. `invalid`: parameters that it does not take. `configuration`: the digest of its file,
    which it was told to have. Raises ValkeyError, OSError, TimeoutError.
    """
    said = await info(connection)
    use = ServerUse(
        bytes=_count(said, "used_memory"),
        connections=_count(said, "connected_clients"),
        most_connections=_count(said, "maxclients"),
        waiting=_count(said, "blocked_clients"),
        oldest_transaction_seconds=0.0,
    )
    return ServerFacts(version_of(said), use, configuration, invalid=tuple(sorted(invalid.items())))


async def set_parameters(
    connection: ValkeyConnection, wanted: Mapping[str, str], before: Mapping[str, str]
) -> dict[str, str]:
    """Have it use these; of those `before` that are wanted no more, the default. Returns what it says against each
    that it does not take. Raises ValkeyError, OSError, TimeoutError.
    """
    refused: dict[str, str] = {}
    defaults = {name: PARAMETERS[name] for name in before if name not in wanted and name in PARAMETERS}
    for name, value in {**defaults, **wanted}.items():
        try:
            await connection.ask("CONFIG", "SET", name, value)
        except ValkeyError as error:
            if error.code != "ERR":
                raise
            refused[name] = _reason(str(error))
    return refused


async def keep_durable(connection: ValkeyConnection, syncs: str) -> None:
    """When its writes are on the disk. `syncs`: `always` or `everysec`. Raises ValkeyError, OSError, TimeoutError."""
    await connection.ask("CONFIG", "SET", "appendfsync", syncs)


async def follow(connection: ValkeyConnection, upstream: Endpoint) -> None:
    """Have it follow that one, unless it does. Raises ValkeyError, OSError, TimeoutError."""
    said = await info(connection, "replication")
    if (said.get("master_host"), said.get("master_port")) != (upstream.host, str(upstream.port)):
        await connection.ask("REPLICAOF", upstream.host, str(upstream.port))


async def promote(endpoint: Endpoint, password: str) -> None:
    """Have a replica take writes. Raises ValkeyError, OSError, TimeoutError."""
    async with await opened(endpoint, password) as connection:
        await connection.ask("REPLICAOF", "NO", "ONE")


async def _require_loaded(connection: ValkeyConnection) -> None:
    """INFO is answered also while it loads what it has. One that is busy with a script is there."""
    try:
        await connection.ask("PING")
    except ValkeyError as error:
        if error.code != "BUSY":
            raise


def _count(said: Mapping[str, str], name: str) -> int:
    text = said.get(name, "")
    return int(text) if text.isdigit() else 0


def _reason(said: str) -> str:
    """Of `ERR CONFIG SET failed (possibly related to argument 'hz') - argument must be ...`."""
    return said.partition(" - ")[2] or said.removeprefix("ERR ")
