"""Users of a Valkey server: what the owner of a Database and each DatabaseUser may, and their passwords.

What is set is on disk, with the data, before it returns. Everything can be done again without harm.

Source: valkey.io/topics/acl.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from crds.engines.valkey import SUPERUSER
from services.db_manager.valkey.connection import ValkeyConnection

# What reaches other servers, the machine, or what the cloud keeps; also who is whose user, and what all users have.
_NEVER = ("-@admin", "-migrate", "-failover", "-module", "-acl", "+acl|whoami", "+acl|genpass", "+acl|cat")
_RULES: dict[str, tuple[str, ...]] = {
    "owner": ("~*", "&*", "+@all", *_NEVER, "+slowlog|get", "+slowlog|len", "+client|list", "+client|kill"),
    "write": (
        "~*",
        "&*",
        "-@all",
        "+@read",
        "+@write",
        "+@pubsub",
        "+@connection",
        "+@transaction",
        "+@scripting",
        "-@dangerous",
        *_NEVER,
        "-function",
        "-script",
        "+script|load",
        "+script|exists",
        "+info",
        "+time",
    ),
    "read": (
        "%R~*",
        "resetchannels",
        "-@all",
        "+@read",
        "+@connection",
        "+@transaction",
        "-@write",
        "-@dangerous",
        *_NEVER,
        "+info",
        "+time",
    ),
}
RESERVED = frozenset({"default", SUPERUSER})


def password_digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


async def ensure_user(connection: ValkeyConnection, name: str, privileges: str, digests: Sequence[str]) -> None:
    """With those privileges and passwords, and no others. `privileges`: `owner`, `write` or `read`. `digests`: of
    its passwords. Raises ValkeyError, OSError, TimeoutError.
    """
    rules, passwords = _RULES[privileges], [f"#{each}" for each in digests]
    await connection.ask("ACL", "SETUSER", name, "reset", "on", "sanitize-payload", *passwords, *rules)
    await connection.ask("ACL", "SAVE")


async def digests_of(connection: ValkeyConnection, name: str) -> list[str]:
    """Of that user's passwords; none where there is no such user. Raises ValkeyError, OSError, TimeoutError."""
    said = await connection.ask("ACL", "GETUSER", name)
    pairs = dict(zip(said[::2], said[1::2], strict=False)) if isinstance(said, list) else {}
    found = pairs.get("passwords")
    return [str(each) for each in found] if isinstance(found, list) else []


async def remove_user(connection: ValkeyConnection, name: str) -> None:
    """Its connections end. Raises ValkeyError, OSError, TimeoutError."""
    await connection.ask("ACL", "DELUSER", name)
    await connection.ask("ACL", "SAVE")
