"""File descriptors: as many as the system allows, and some kept back for what must always be possible.

A process without descriptors cannot open its store's journal, write a log or start a child. So connections, from
clients and to services, only ever get a part of them.
"""

from __future__ import annotations

import resource
from typing import NamedTuple

MOST = 65_536
RESERVED = 256
"""Kept for the store, logs, children's pipes and whatever else is no connection."""
MOST_CONNECTIONS, MOST_UPSTREAM = 20_000, 512


class DescriptorBudget(NamedTuple):
    """The number of connections there may be from clients, and to services."""

    connections: int
    upstream: int


def raise_file_limit() -> int:
    """The number of files this process may have open from now on: its hard limit, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MOST if soft == resource.RLIM_INFINITY else min(soft, MOST)


def divide(limit: int) -> DescriptorBudget:
    """Two thirds of what is not reserved for clients, one third for services."""
    free = max(limit - min(RESERVED, limit // 3), 6)
    upstream = min(free // 3, MOST_UPSTREAM)
    return DescriptorBudget(min(free - upstream, MOST_CONNECTIONS), upstream)
