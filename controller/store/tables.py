"""Three tables: every record, the newest record per living key, and one row that counts.

The unique (key, previous) is the optimistic lock, enforced by the database itself: two writers that saw the same
version cannot both win. A resource made again after its deletion names the deletion as `previous`, so that chain
never forks either.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, String, Table, UniqueConstraint

metadata = MetaData()

records = Table(
    "records",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("api_group", String, nullable=False),
    Column("plural", String, nullable=False),
    Column("namespace", String, nullable=False),
    Column("name", String, nullable=False),
    Column("uid", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("previous", BigInteger, nullable=False),
    Column("written_at", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("written_by", String, nullable=False),
    UniqueConstraint("api_group", "plural", "namespace", "name", "previous", name="one_successor"),
)
Index("records_by_time", records.c.written_at)

heads = Table(
    "heads",
    metadata,
    Column("api_group", String, primary_key=True),
    Column("plural", String, primary_key=True),
    Column("namespace", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

clock = Table(
    "clock",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    Column("compacted", BigInteger, nullable=False),
)
