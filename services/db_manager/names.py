"""What the parts of a Database are called. Pure.

A Database `shop` is the Service `shop-0`, the Secret `shop-credentials` and the ConfigMap `shop-parameters`. With
members, there are `shop-1` and so on besides, and `shop-rw` and `shop-ro`, which lead to the one that takes
writes and to those that follow it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

from pydantic import StringConstraints

LONGEST_NAME = 61
"""Of a Database: its Service is called `<name>-0`, which is a label of DNS (63)."""
LONGEST_NAME_WITH_MEMBERS = 60
"""Of one whose Services are also called `<name>-rw`."""
_DRILL = "-drill"
MOST_MEMBERS = 5
SLOTS = "aerekos_member_"
LONGEST_SQL_NAME = 63
SqlName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$", max_length=LONGEST_SQL_NAME)]
"""A name that needs no quotes in SQL."""
# Roles and databases of the server itself.
_TAKEN = frozenset({"postgres", "template0", "template1", "public", "none", "replication", "current_user", "all"})


def sql_name(resource: str) -> str:
    """The name a database or its owner has, when none is given: that of the resource, fit for SQL."""
    name = resource.replace("-", "_").replace(".", "_")
    name = name if not name[:1].isdigit() else f"_{name}"
    return f"{name}_db" if sql_name_fault(name) else name


def sql_name_fault(name: str) -> str:
    """Why no database or role of people can be called that; empty when one can."""
    if name in _TAKEN or name.startswith(("pg_", "aerekos_")):
        return f"{name} belongs to the server itself; choose another name"
    return ""


def member_name(database: str, index: int) -> str:
    """The Service of one member: `shop-0`."""
    return f"{database}-{index}"


def member_index(member: str) -> int:
    """Of `shop-1`: 1."""
    return int(member.rpartition("-")[2])


def slot_name(member: str) -> str:
    """What the primary keeps for that member of its log."""
    return f"{SLOTS}{member_index(member)}"


def route_name(database: str, route: str) -> str:
    """The Service that leads to its servers: `shop-rw`."""
    return f"{database}-{route}"


def routes_config(database: str) -> str:
    """The ConfigMap with what the routes lead to."""
    return f"{database}-routes"


def credentials_secret(database: str) -> str:
    """The Secret that says how to connect."""
    return f"{database}-credentials"


def drill_name(database: str) -> str:
    """The Database that its backups are tried with. Where it has to be cut, a digest tells it from others."""
    if len(database) + len(_DRILL) <= LONGEST_NAME:
        return f"{database}{_DRILL}"
    tail = f"-{sha256(database.encode()).hexdigest()[:8]}{_DRILL}"
    return f"{database[: LONGEST_NAME - len(tail)].rstrip('-')}{tail}"


def parameters_config(database: str) -> str:
    """The ConfigMap with postgresql.conf."""
    return f"{database}-parameters"
