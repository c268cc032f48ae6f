"""Parameters of which a replica may not have less than its primary had when it wrote the log that is read next: with
less it does not start. So a replica has what its primary has, or had, until it has read beyond that. Pure.

Protocol: PostgreSQL, "Hot Standby", Administrator's Overview.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from services.db_manager.members.failover import Look

SIZES = (
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
)
"""In the order of `Look.sizes`."""


def least_sizes(
    known: Mapping[str, str], primary: str, others: Sequence[str], before: Mapping[str, Look], now: Mapping[str, Look]
) -> dict[str, str]:
    """What replicas have at least, by the names of the parameters. `known`: what that was. `before`: the last looks
    before those `now`.
    """
    ours, then = now.get(primary, Look()), before.get(primary, Look())
    if not ours.takes_writes or len(ours.sizes) != len(SIZES):
        return dict(known)
    have_read = [now.get(each, Look()).replayed >= then.lsn for each in others]
    if then.takes_writes and then.sizes == ours.sizes and all(have_read):
        return dict(zip(SIZES, map(str, ours.sizes), strict=True))
    return {name: str(max(size, int(known.get(name, 0)))) for name, size in zip(SIZES, ours.sizes, strict=True)}


def with_least_sizes(parameters: Mapping[str, str], least: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a replica."""
    found = dict(parameters)
    for name, size in least.items():
        with suppress(ValueError):  # what is no plain number is left to the server
            found[name] = str(max(int(parameters.get(name, 0)), int(size)))
    return found
