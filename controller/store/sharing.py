"""Writing to a database that others write to as well, over connections that break. PostgreSQL alone.

Each process has one row in `writers`, which names the last batch it wrote, and is changed in that batch's own
transaction. So a commit whose answer was lost is looked up, and never written twice. The one row of `lease` says who
leads, by a number that grows with each that takes the lead (its epoch); a batch of a process that leads holds only
while that is still its own. It is compared after the clock is locked, and nobody takes the lead without that lock: of
a batch and a change of the lead, one is wholly before the other.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, DateTime, Float, Integer, MetaData, String, Table, func, text

from controller.store.appending import Appending
from controller.store.postgresql import passes
from controller.store.records import NotLeading, Record

CHANNEL = "aerekos_store"
"""Of NOTIFY: the writer with that id has written. It wakes who listens, and tells nothing else."""
NOBODYS = -1
"""An epoch that nobody ever has: what is held to it is written by nobody."""
PATIENCE_SECONDS = 10.0
"""For how long a batch is tried again where the database is away."""
_PAUSES = (0.02, 0.1, 0.25, 0.5)

metadata = MetaData()
writers = Table(
    "writers",
    metadata,
    Column("id", String, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("holder", String, nullable=False),
    Column("url", String, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("renewed_at", DateTime(timezone=True), nullable=False),
)
conductors = Table(
    "conductors",
    metadata,
    Column("url", String, primary_key=True),
    Column("seen_at", DateTime(timezone=True), nullable=False),
)
_REGISTER = "INSERT INTO writers (id, batch) VALUES (:me, 0) ON CONFLICT (id) DO NOTHING"
_FORGET = "DELETE FROM writers WHERE seen_at < now() - interval '7 days'"
_EPOCH = "SELECT epoch FROM lease WHERE id = 1"
_MARK = (
    "UPDATE writers SET batch = %(batch)s, seen_at = now() WHERE id = %(me)s"  # noqa: S608 - of constants
    f" AND (%(epoch)s = 0 OR %(epoch)s = ({_EPOCH}))"
    f" RETURNING pg_notify('{CHANNEL}', id)"
)
LOCK_CLOCK = "SELECT revision FROM clock WHERE id = 1 FOR UPDATE"
"""Whoever has it comes after all batches and changes of the lead that had it before."""
_LOST = "another conductor leads this cloud now; this one writes nothing any more"
_LANDED = "SELECT batch FROM writers WHERE id = %(me)s"


class Sharing:
    """This process as a writer. `connect` gives the connection for writing, `drop` throws it away. Used by one thread
    at a time, as they are.
    """

    def __init__(self, appending: Appending, connect: Callable[[], Connection], drop: Callable[[], None]) -> None:
        self._appending, self._connect, self._drop = appending, connect, drop
        self.id, self._batch = uuid.uuid4().hex, 0
        self.epoch = 0
        """Of the lead that this process believes it has; 0 where nobody needs one."""

    def register(self, connection: Connection) -> None:
        """Within the transaction that makes the tables."""
        metadata.create_all(connection)
        connection.execute(text(_FORGET))
        connection.execute(text(_REGISTER), {"me": self.id})

    def append(self, base: int, new: Sequence[Record], locks: Sequence[int]) -> bool:
        """As `SqlBackend.append`; what passes is tried again. Raises NotLeading, and the driver's errors: where the
        commit failed, nobody knows whether it is there.
        """
        self._batch += 1
        deadline, tried = time.monotonic() + PATIENCE_SECONDS, 0
        while True:
            try:
                connection: Any = self._connect().connection
                if tried and self._landed(connection):
                    return True
                return self._appending.append(connection, base, new, locks, self.mark)
            except Exception as error:
                self._drop()
                if not passes(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSES[min(tried, len(_PAUSES) - 1)])
            tried += 1

    def mark(self, cursor: Any) -> None:
        """Name the batch in the transaction that writes it, and hold it to the lead. Raises NotLeading."""
        cursor.execute(_MARK, {"batch": self._batch, "me": self.id, "epoch": self.epoch})
        if cursor.rowcount != 1:
            raise NotLeading(_LOST)

    def hold_to_lead(self, connection: Connection) -> None:
        """Lock the clock in the transaction that has just begun, and compare the lead. Raises NotLeading."""
        connection.execute(text(LOCK_CLOCK))
        if self.epoch and connection.execute(text(_EPOCH)).scalar() != self.epoch:
            raise NotLeading(_LOST)

    def _landed(self, connection: Any) -> bool:
        with closing(connection.cursor()) as cursor:
            # The one before held the clock since before its commit was sent: who has it now comes after its end.
            cursor.execute(LOCK_CLOCK)
            cursor.execute(_LANDED, {"me": self.id})
            found = cursor.fetchone()
        connection.rollback()
        return found is not None and found[0] == self._batch
