"""A PostgreSQL connection, no more of it than looking after a server needs: SCRAM-SHA-256, and simple queries, whose
values are texts.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", "SASL Authentication"; RFC 5802, RFC 7677.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import struct
from types import TracebackType
from typing import ClassVar, Self

ROUNDS = 4096
_MOST_ROUNDS = 1_000_000
_LONGEST_MESSAGE = 1 << 20
_MOST_ROWS = 10_000
_MOST_BYTES = 4 << 20
_PROTOCOL = 196608
SECONDS = 10.0
_SETTINGS = "-c search_path=pg_catalog"
"""What a client says at the start counts more than ALTER DATABASE ... SET. Whoever owns a database may put functions
and operators of any name into it, which other search paths would have a superuser call.
"""
Row = tuple[str | None, ...]


class PostgresError(Exception):
    """What the server refused, without anything that was sent. code: the SQLSTATE; empty where it does not speak as
    expected.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code

    @property
    def is_wrong_password(self) -> bool:
        return self.code in ("28P01", "28000")


class PostgresConnection:
    """`async with await PostgresConnection.open(...)`. Names without a schema are those of pg_catalog alone.

    more: what a subclass tells the server at the start besides, names and values in turn.
    """

    more: ClassVar[tuple[str, ...]] = ()

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(
        cls, host: str, port: int, user: str, password: str, database: str, *, application: str = ""
    ) -> Self:
        """`application`: what the server calls it (pg_stat_activity). Raises PostgresError, OSError, TimeoutError."""
        async with asyncio.timeout(SECONDS):
            made = cls(*await asyncio.open_connection(host, port))
            try:
                await made._start(user, password, database, application)
            except BaseException:
                made._writer.close()
                raise
            return made

    async def execute(self, statement: str) -> None:
        """Raises PostgresError, OSError, TimeoutError."""
        await self.fetch(statement)

    async def fetch(self, query: str) -> list[Row]:
        """The rows of one query, every value as its text. Raises PostgresError, also for more than 10000 rows or
        4 MiB, after which the connection is of no use; OSError, TimeoutError.
        """
        async with asyncio.timeout(SECONDS):
            self._send(b"Q", query.encode() + b"\x00")
            return await self._until_ready()

    def close(self) -> None:
        """Let go of it at once; what is under way fails."""
        self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _start(self, user: str, password: str, database: str, application: str) -> None:
        told = ("user", user, "database", database, "application_name", application, "options", _SETTINGS, *self.more)
        named = b"".join(each.encode() + b"\x00" for each in told)
        body = struct.pack("!i", _PROTOCOL) + named + b"\x00"
        self._writer.write(struct.pack("!i", len(body) + 4) + body)
        kind, content = await self._message()
        if (
            kind != b"R"
            or struct.unpack("!i", content[:4])[0] != 10
            or b"SCRAM-SHA-256" not in content[4:].split(b"\x00")
        ):
            raise PostgresError("the server does not ask for SCRAM-SHA-256; no other way of authentication is done")
        await self._authenticate(password)
        await self._until_ready()

    async def _authenticate(self, password: str) -> None:
        nonce = base64.b64encode(os.urandom(18)).decode()
        bare = f"n=,r={nonce}"
        first = f"n,,{bare}".encode()
        self._send(b"p", b"SCRAM-SHA-256\x00" + struct.pack("!i", len(first)) + first)
        challenge = (await self._sasl(11)).decode()
        said = dict(part.split("=", 1) for part in challenge.split(",") if "=" in part)
        try:
            salt, rounds = base64.b64decode(said["s"], validate=True), int(said["i"])
        except (KeyError, ValueError):
            raise PostgresError("the server's challenge cannot be read") from None
        if not said.get("r", "").startswith(nonce) or not ROUNDS <= rounds <= _MOST_ROUNDS:
            raise PostgresError("the server's challenge is not an answer to ours")
        without_proof = f"c=biws,r={said['r']}"
        signed = f"{bare},{challenge},{without_proof}".encode()
        client, stored, server = _keys(password, salt, rounds)
        proof = bytes(a ^ b for a, b in zip(client, _mac(stored, signed), strict=True))
        self._send(b"p", f"{without_proof},p={base64.b64encode(proof).decode()}".encode())
        answer = await self._sasl(12)
        if not hmac.compare_digest(answer, b"v=" + base64.b64encode(_mac(server, signed))):
            raise PostgresError("the server does not know the password: it is not the one it claims to be")

    async def _sasl(self, wanted: int) -> bytes:
        kind, content = await self._message()
        if kind != b"R" or struct.unpack("!i", content[:4])[0] != wanted:
            raise PostgresError("the server breaks off the authentication")
        return content[4:]

    async def _until_ready(self) -> list[Row]:
        refused: PostgresError | None = None
        rows: list[Row] = []
        size = 0
        while True:
            try:
                kind, content = await self._message()
            except PostgresError as error:
                if refused is not None and not error.code:
                    raise refused from None  # after a fatal error the server closes the connection
                if error.code.startswith("28") or not error.code:
                    raise
                refused = error
                continue
            if kind == b"D":
                size += len(content)
                if len(rows) == _MOST_ROWS or size > _MOST_BYTES:
                    raise PostgresError("the server answers with more than is asked for")
                rows.append(read_row(content))
            if kind == b"Z":
                if refused is not None:
                    raise refused
                return rows

    async def _message(self) -> tuple[bytes, bytes]:
        try:
            head = await self._reader.readexactly(5)
            length = struct.unpack("!i", head[1:])[0] - 4
            if not 0 <= length <= _LONGEST_MESSAGE:
                raise PostgresError("what answers there is no PostgreSQL")
            content = await self._reader.readexactly(length)
        except asyncio.IncompleteReadError:
            raise PostgresError("the server closed the connection") from None
        if head[:1] == b"E":
            fields = {each[:1]: each[1:].decode(errors="replace") for each in content.split(b"\x00") if each}
            raise PostgresError(f"SQLSTATE {fields.get(b'C', '?')}", fields.get(b"C", "?"))
        return head[:1], content

    def _send(self, kind: bytes, content: bytes) -> None:
        self._writer.write(kind + struct.pack("!i", len(content) + 4) + content)


def read_row(content: bytes) -> Row:
    """The values of a DataRow message. Raises PostgresError."""
    values: list[str | None] = []
    at = 2
    try:
        for _ in range(struct.unpack_from("!H", content)[0]):
            (length,) = struct.unpack_from("!i", content, at)
            at += 4
            values.append(None if length < 0 else content[at : at + length].decode(errors="replace"))
            at += max(length, 0)
    except struct.error:
        raise PostgresError("what answers there is no PostgreSQL") from None
    return tuple(values)


def verifier_of(password: str) -> str:
    """What the server stores of a password; sent instead of it, so that the password is in no statement or log."""
    salt = os.urandom(16)
    _, stored, server = _keys(password, salt, ROUNDS)
    parts = [base64.b64encode(each).decode() for each in (salt, stored, server)]
    return f"SCRAM-SHA-256${ROUNDS}:{parts[0]}${parts[1]}:{parts[2]}"


def quoted_text(text: str) -> str:
    """As a literal in a statement, whatever the server's standard_conforming_strings says."""
    return " E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quoted_name(name: str) -> str:
    """As an identifier in a statement."""
    return '"' + name.replace('"', '""') + '"'


def _keys(password: str, salt: bytes, rounds: int) -> tuple[bytes, bytes, bytes]:
    """The client's key, what is stored of it, and the server's. Passwords are ASCII: SASLprep changes none of it."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    client = _mac(salted, b"Client Key")
    return client, hashlib.sha256(client).digest(), _mac(salted, b"Server Key")


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).digest()
