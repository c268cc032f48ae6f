"""A PostgreSQL connection that copies: base backups and write-ahead log out of a server, and rows into one.

Source: PostgreSQL documentation, "Streaming Replication Protocol" (as from version 15 on), "COPY".
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import ClassVar

from services.sdk.postgres import PostgresConnection, PostgresError, Row, read_row

SILENCE_SECONDS = 60.0
"""A server that says nothing for so long is gone: it sends a sign of life twice a minute."""
_EPOCH = 946_684_800
"""PostgreSQL counts microseconds from 2000-01-01."""
_WAL, _ALIVE = b"w", b"k"


def lsn_of(text: str) -> int:
    """`16/B374D848` as a number: bytes of log since the cluster was made. Raises ValueError."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) | int(low, 16)


def lsn_text(lsn: int) -> str:
    """As PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


@dataclass(frozen=True, slots=True)
class WalData:
    """Bytes of the log, the first of which is at `start`; none in a sign of life, whose `start` is the log's end."""

    start: int
    data: bytes = b""


class CopyConnection(PostgresConnection):
    """Also takes rows, by COPY FROM STDIN."""

    async def copy_in(self, statement: str, rows: bytes) -> None:
        """Raises PostgresError, OSError, TimeoutError."""
        async with asyncio.timeout(SILENCE_SECONDS):
            self._send(b"Q", statement.encode() + b"\x00")
            await self._expect(b"G")
            self._send(b"d", rows)
            await self._writer.drain()
            self._send(b"c", b"")
            await self._until_ready()

    async def run(self, statement: str, seconds: float) -> None:
        """A statement that may take that long. Raises as `copy_in`."""
        async with asyncio.timeout(seconds):
            self._send(b"Q", statement.encode() + b"\x00")
            await self._until_ready()

    async def _expect(self, kind: bytes) -> None:
        while (got := (await self._message())[0]) != kind:
            if got == b"Z":
                raise PostgresError("the server does not copy")


class ReplicationConnection(PostgresConnection):
    """Speaks the commands of replication. One copy at a time."""

    more: ClassVar[tuple[str, ...]] = ("replication", "true")

    async def command(self, text: str) -> list[Row]:
        """The row of a command that copies nothing. Raises PostgresError, OSError, TimeoutError."""
        return await self.fetch(text)

    async def base_backup(self, label: str, bounds: list[int]) -> AsyncIterator[bytes]:
        """The cluster as one tar archive, with all log that it needs. `bounds` gets where this log begins, and at the
        end where it ends. Raises PostgresError, OSError, TimeoutError.
        """
        options = f"LABEL '{label}', CHECKPOINT 'fast', WAL true, MANIFEST 'no'"
        self._send(b"Q", f"BASE_BACKUP ({options})".encode() + b"\x00")
        archives = 0
        async for kind, content in self._messages():
            if kind == b"D" and (at := read_row(content)[0]) and "/" in at:
                bounds.append(lsn_of(at))  # the rows of tablespaces begin with a number or nothing
            elif kind == b"d" and content[:1] == b"n":
                archives += 1
                if archives > 1:
                    raise PostgresError("the server has tablespaces of its own, which are not backed up")
            elif kind == b"d" and content[:1] == b"d":
                yield content[1:]
            elif kind == b"Z":
                return

    async def start(self, slot: str, lsn: int, timeline: int) -> None:
        """Have the log from there on sent. Raises PostgresError, OSError, TimeoutError."""
        text = f"START_REPLICATION SLOT {slot} PHYSICAL {lsn_text(lsn)} TIMELINE {timeline}"
        async with asyncio.timeout(SILENCE_SECONDS):
            self._send(b"Q", text.encode() + b"\x00")
            while (await self._message())[0] != b"W":
                pass

    async def receive(self) -> WalData:
        """What comes next of the log. Raises PostgresError, also where the timeline ends; OSError, TimeoutError."""
        async with asyncio.timeout(SILENCE_SECONDS):
            while True:
                kind, content = await self._message()
                if kind == b"c":
                    raise PostgresError("the timeline ended")
                if kind != b"d":
                    continue
                if content[:1] == _WAL:
                    return WalData(struct.unpack_from("!q", content, 1)[0], content[25:])
                if content[:1] == _ALIVE:
                    return WalData(struct.unpack_from("!q", content, 1)[0])

    def acknowledge(self, lsn: int) -> None:
        """All before that is stored: the server may forget it."""
        moment = int((time.time() - _EPOCH) * 1_000_000)
        self._send(b"d", b"r" + struct.pack("!qqqqB", lsn, lsn, lsn, moment, 0))

    async def _messages(self) -> AsyncIterator[tuple[bytes, bytes]]:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS * 10):  # a checkpoint comes before the first
                got = await self._message()
            yield got
