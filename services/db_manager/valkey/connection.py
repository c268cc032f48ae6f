"""A connection to a Valkey or Redis server, no more of it than looking after one needs: commands and their replies.

Source: the specification of RESP2 (valkey.io/topics/protocol). A well-kept client is not taken in its place: none
hands on the copy of all data that `SYNC` answers with, which backups are made of.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

SECONDS = 10.0
_MOST_BYTES = 4 << 20
_MOST_ITEMS = 100_000
_DEEPEST = 8
_COPY_SECONDS = 60.0
_PIECE = 256 << 10
_SLOWEST = 4 << 20
"""Bytes a second that a server takes at least."""
Reply = str | int | None | list["Reply"]


class ValkeyError(Exception):
    """What the server refused, without anything that was sent. code: the first word of it (`WRONGPASS`); empty where
    it does not speak as expected.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ValkeyConnection:
    """`async with await ValkeyConnection.open(...)`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int, user: str, password: str) -> Self:
        """Raises ValkeyError, OSError, TimeoutError."""
        async with asyncio.timeout(SECONDS):
            made = cls(*await asyncio.open_connection(host, port))
            try:
                await made.ask("AUTH", user, password)
            except BaseException:
                made.close()
                raise
            return made

    async def ask(self, *words: str) -> Reply:
        """One command and its reply. Raises ValkeyError, also for more than 4 MiB, after which the connection is of
        no use; OSError, TimeoutError.
        """
        async with asyncio.timeout(SECONDS):
            self._writer.write(command(*words))
            return await self._reply(0)

    async def ask_all(self, commands: Sequence[bytes]) -> None:
        """Commands that are sent at once. Raises ValkeyError for the first that is refused, OSError, TimeoutError."""
        async with asyncio.timeout(_COPY_SECONDS + sum(map(len, commands)) / _SLOWEST):
            self._writer.write(b"".join(commands))
            await self._writer.drain()
            await self._items(len(commands), 0)

    async def copy(self) -> AsyncIterator[bytes]:
        """All its data as RDB, as a replica gets it. The connection is of no other use afterwards. Raises
        ValkeyError, OSError, TimeoutError, as the iterator does.
        """
        self._writer.write(b"SYNC\r\n")
        line = b""
        while not line:  # while it makes the copy it sends empty lines
            async with asyncio.timeout(_COPY_SECONDS):
                line = (await self._line()).strip()
        if line[:1] == b"-":
            raise _refusal(line[1:])
        if line[:1] != b"$" or not line[1:].isdigit():
            raise ValkeyError("the server does not send its data as a replica gets it")
        return self._pieces(int(line[1:]))

    async def _pieces(self, size: int) -> AsyncIterator[bytes]:
        left = size
        while left:
            async with asyncio.timeout(_COPY_SECONDS):
                piece = await self._reader.read(min(left, _PIECE))
            if not piece:
                raise ValkeyError("the server ended the copy of its data half-way")
            left -= len(piece)
            yield piece

    def close(self) -> None:
        """Let go of it at once; what is under way fails."""
        self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _reply(self, depth: int) -> Reply:
        line = await self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode(errors="replace")
        if kind == b"-":
            raise _refusal(rest)
        number = _number(rest) if kind in (b":", b"$", b"*") else None
        if number is None or (kind == b"$" and number > _MOST_BYTES) or (kind == b"*" and number > _MOST_ITEMS):
            raise ValkeyError("the server's answer cannot be read")
        if kind == b":":
            return number
        if number < 0:
            return None
        if kind == b"$":
            return await self._bulk(number)
        if depth == _DEEPEST:
            raise ValkeyError("the server's answer cannot be read")
        return await self._items(number, depth + 1)

    async def _bulk(self, size: int) -> str:
        try:
            return (await self._reader.readexactly(size + 2))[:-2].decode(errors="replace")
        except asyncio.IncompleteReadError as error:
            raise ValkeyError("the server closed the connection") from error

    async def _items(self, number: int, depth: int) -> list[Reply]:
        """A refusal among them is the first one's, once all of them are read."""
        found: list[Reply] = []
        refused: ValkeyError | None = None
        for _ in range(number):
            try:
                found.append(await self._reply(depth))
            except ValkeyError as error:
                if not error.code:
                    raise
                refused = refused or error
        if refused is not None:
            raise refused
        return found

    async def _line(self) -> bytes:
        """Raises ValkeyError where the server closes the connection."""
        try:
            return (await self._reader.readuntil(b"\n")).rstrip(b"\r\n")
        except asyncio.IncompleteReadError as error:
            raise ValkeyError("the server closed the connection") from error
        except asyncio.LimitOverrunError as error:
            raise ValkeyError("the server's answer cannot be read") from error


def command(*words: str | bytes) -> bytes:
    """As a client sends it."""
    sent = [each.encode() if isinstance(each, str) else each for each in words]
    return b"*%d\r\n" % len(sent) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in sent)


def _number(text: bytes) -> int | None:
    digits = text.removeprefix(b"-")
    return int(text) if digits.isdigit() and len(digits) <= 19 else None


def _refusal(text: bytes) -> ValkeyError:
    said = text.decode(errors="replace")
    return ValkeyError(said, said.partition(" ")[0])
