"""PostgreSQL alone: how it is reached, what its sessions promise, and what its errors mean.

The URL is libpq's (`postgresql://user@host1,host2/name?sslmode=verify-full&passfile=...`), whatever that may say. No
answer is waited for without end: the server is told to give up first, and a server that says nothing at all (frozen,
cut off) is given up by the client.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import Connection, Engine, create_engine, text

from controller.store.records import StoreAway, StoreBroken, StoreError

SCHEMES = ("postgresql", "postgres")
OLDEST_SERVER = 130000
"""Its `server_version_num`."""
READING_SECONDS, WRITING_SECONDS = 30.0, 5.0
"""Within which the server ends a statement of a reader, or of the writer."""
SILENCE_SECONDS = 3.0
"""How much longer the client waits."""
LOCK_SECONDS = 3.0
"""A lock that is held longer belongs to a writer that hangs; the server ends its transaction after as long."""
_DEFAULTS = {
    # libpq's own waits for minutes where a machine is gone.
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "8000",
    "target_session_attrs": "read-write",
    "application_name": "aerekos",
}
# SQLSTATEs: connections, shutdowns, what is to be tried again, locks, timeouts, idle sessions, a server that has
# become a replica, and what the server has no room for.
_PASSING = ("08", "57P", "40", "55P03", "57014", "25P0", "25006", "53")
_NO_DRIVER = "a store in PostgreSQL needs the driver psycopg: pip install 'aerekos-cloud[postgresql]'"


def is_postgresql(url: str) -> bool:
    """Whether that is a URL of PostgreSQL."""
    return url.partition("://")[0] in SCHEMES


def shown(url: str) -> str:
    """That URL as it may be shown: without a password, and without what follows the database's name. Raises
    ValueError for one that is malformed.
    """
    parts = urlsplit(url)
    who, at, hosts = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{who.partition(':')[0]}{at}{hosts}", query="", fragment=""))


def connector(url: str) -> Callable[[], Any]:
    """What makes a connection of the driver. Raises StoreBroken where there is no driver, and for a malformed URL."""
    try:
        import psycopg
        from psycopg import conninfo
    except ImportError as missing:
        raise StoreBroken(_NO_DRIVER) from missing
    try:
        told = {**_DEFAULTS, **conninfo.conninfo_to_dict(url)}
    except psycopg.Error as odd:
        raise StoreBroken(f"the URL of the store is not one of PostgreSQL: {str(odd).strip()}") from odd

    class Impatient(psycopg.Connection[Any]):
        """`answer_seconds`: within which the server says something, or this is closed."""

        answer_seconds = READING_SECONDS + SILENCE_SECONDS

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, self.answer_seconds if timeout is None else timeout)
            except psycopg.errors._WaitTimeout as silent:
                if timeout is not None:
                    raise
                self.pgconn.finish()
                raise psycopg.OperationalError(f"no answer within {self.answer_seconds:g} seconds") from silent

    def connect() -> Any:
        connection = Impatient.connect(**told)  # type: ignore[arg-type]
        _promise(connection)
        return connection

    return connect


def make_engine(url: str) -> Engine:
    """For connections to that database; none is made yet. Raises as `connector`."""
    # Of a connection that broke, who used it is told; the pool's log would say it once more, with its stack.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    # The pool asks a connection whether it is still there before it gives it to a reader.
    return create_engine(
        "postgresql+psycopg://", creator=connector(url), max_overflow=-1, pool_pre_ping=True, use_native_hstore=False
    )


def _promise(connection: Any) -> None:
    """What holds for the session, whatever the server's own settings are."""
    with connection.cursor() as cursor:
        _limit(cursor, READING_SECONDS)
        # Of a server that is told not to wait for its disk: here, what was acknowledged is there.
        wait = (
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        cursor.execute(wait)
    connection.commit()


def _limit(cursor: Any, seconds: float) -> None:
    idle = min(seconds, LOCK_SECONDS) if seconds < READING_SECONDS else seconds
    for name, limit in (
        ("statement_timeout", seconds),
        ("lock_timeout", LOCK_SECONDS),
        ("idle_in_transaction_session_timeout", idle),
    ):
        cursor.execute(f"SET {name} = {int(limit * 1000)}")


def for_writing(connection: Connection) -> Connection:
    """A connection that was just taken from the pool, as the one that writes: each statement sees what was committed
    before it, and neither this side nor the server waits for long.
    """
    connection = connection.execution_options(isolation_level="READ COMMITTED")
    brief(connection.connection.driver_connection).autocommit = False
    return connection


def brief(connection: Any) -> Any:
    """A connection of the driver for what is over soon. Each of its statements is a transaction, until it is told."""
    connection.autocommit, connection.answer_seconds = True, WRITING_SECONDS + SILENCE_SECONDS
    with connection.cursor() as cursor:
        _limit(cursor, WRITING_SECONDS)
    return connection


def for_reading(connection: Connection) -> Connection:
    """The same for one that reads: all of its statements see one moment."""
    return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def lock_schema(connection: Connection) -> None:
    """Until the end of that transaction, nobody else makes or changes tables."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('aerekos store schema'))"))


def check_server(connection: Connection, name: str) -> None:
    """Raises StoreBroken for a server that is too old, or a database whose letters are not UTF-8."""
    number, letters = connection.execute(
        text("SELECT current_setting('server_version_num')::int, current_setting('server_encoding')")
    ).one()
    if number < OLDEST_SERVER:
        raise StoreBroken(f"{name} is PostgreSQL {number // 10000}; {OLDEST_SERVER // 10000} or later is needed")
    if letters != "UTF8":
        raise StoreBroken(f"{name} has the encoding {letters}: make one with CREATE DATABASE ... ENCODING 'UTF8'")


def passes(error: BaseException) -> bool:
    """Whether the same may be well a little later: the server was away, busy, or had no room."""
    import psycopg

    cause = getattr(error, "orig", None) or error
    if not isinstance(cause, psycopg.Error):
        return isinstance(cause, OSError)
    if cause.sqlstate is None:  # there was no answer at all, or none to a login
        return isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError))
    return cause.sqlstate.startswith(_PASSING)


def in_words(doing: str, name: str, error: BaseException) -> StoreError:
    """What went wrong with that database: StoreAway where it passes, StoreBroken where somebody must act."""
    cause = " ".join(str(getattr(error, "orig", None) or error).split())
    if passes(error):
        return StoreAway(f"cannot {doing} {name}: {cause}. It is tried again; look at the database if it goes on.")
    return StoreBroken(f"cannot {doing} {name}: {cause}. Look at the database and at its log.")
