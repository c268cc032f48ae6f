"""A request's body on its way in: chunked framing off, digests checked, ETag known. Memory stays bounded."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import anyio

from services.storage_manager.aws_chunked import Decoder
from services.storage_manager.checksums import CHECKSUMS, Hash
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import Caller

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
BLOCK = 256 << 10
LARGEST = 5 << 30
MOST_DRAINED, DRAIN_SECONDS = 8 << 20, 2.0
MD5 = re.compile(r"[A-Za-z0-9+/]{22}==")


class Incoming:
    """A request's body as it arrives, and whether all of it has."""

    def __init__(self, receive: Receive, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._receive = receive
        said = dict(headers)  # their names are in lower case
        self.ended = b"transfer-encoding" not in said and said.get(b"content-length", b"0") == b"0"
        # Such a client sends nothing before it is asked to, and a refusal asks for nothing.
        self._waits = b"expect" in said

    async def __call__(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self._waits = False
        self.ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Take what is on its way, within bounds: who is still sending hears no refusal."""
        if self.ended or self._waits:
            return
        taken = 0
        with anyio.move_on_after(DRAIN_SECONDS):
            while not self.ended and not self._waits and taken < MOST_DRAINED:
                taken += len((await self()).get("body", b""))


class RequestBody:
    """Iterate `blocks`, call `absorb` with each (in a thread), then `verify`.

    `also`: a checksum header's name, computed even when the client does not send it.
    """

    def __init__(self, headers: dict[str, str], caller: Caller, receive: Receive, also: str = "") -> None:
        self.headers, self._receive = headers, receive
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.content = headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        self._decoder = self._framing(caller)
        self._sha = hashlib.sha256() if len(self.content) == 64 else None
        trailers = [each.strip().lower() for each in headers.get("x-amz-trailer", "").split(",")]
        self._said = {name for name in CHECKSUMS if name in headers or name in trailers}
        self._sums = {name: CHECKSUMS[name]() for name in CHECKSUMS if name in self._said or name == also}
        self.size = 0

    def _framing(self, caller: Caller) -> Decoder | None:
        if not self.content.startswith("STREAMING-"):
            return None
        signed = "UNSIGNED" not in self.content
        if signed and caller.signing is None:
            raise S3Error("AccessDenied", "a signed chunked body needs a signed request")
        return Decoder(caller.signing if signed else None, self.content.endswith("-TRAILER"))

    async def blocks(self) -> AsyncIterator[bytes]:
        """Payload in blocks of about 256 KiB."""
        held, more = bytearray(), True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise S3Error("IncompleteBody", "the client went away")
            data, more = message.get("body", b""), message.get("more_body", False)
            held += self._decoder.feed(data) if self._decoder else data
            if len(held) >= BLOCK:
                yield bytes(held)
                held.clear()
        if held:
            yield bytes(held)

    def absorb(self, data: bytes) -> None:
        """Count and digest. Raises EntityTooLarge."""
        self.size += len(data)
        if self.size > LARGEST:
            raise S3Error("EntityTooLarge", f"one request brings {LARGEST} bytes at most; use a multipart upload")
        self.md5.update(data)
        if self._sha:
            self._sha.update(data)
        for each in self._sums.values():
            each.update(data)

    def verify(self) -> dict[str, str]:
        """The checksums to remember. Raises S3Error when the body is not what the client says."""
        if self._decoder:
            self._decoder.finish()
        wanted = self.headers.get("x-amz-decoded-content-length")
        if wanted is not None and wanted != str(self.size):
            raise S3Error("IncompleteBody", "the decoded length differs")
        if self._sha and not hmac.compare_digest(self._sha.hexdigest(), self.content):
            raise S3Error("XAmzContentSHA256Mismatch", "x-amz-content-sha256 differs from the body")
        self._check_md5()
        return {name: self._check(name, each) for name, each in self._sums.items()}

    def _check_md5(self) -> None:
        said = self.headers.get("content-md5")
        if said is None or said == base64.b64encode(self.md5.digest()).decode():
            return
        if not MD5.fullmatch(said):
            raise S3Error("InvalidDigest", "Content-MD5 is no base64 of 16 bytes")
        raise S3Error("BadDigest", "Content-MD5 differs from the body")

    def _check(self, name: str, each: Hash) -> str:
        trailers = self._decoder.trailers if self._decoder else {}
        claimed = self.headers.get(name) or trailers.get(name, "")
        value = base64.b64encode(each.digest()).decode()
        if name in self._said and claimed != value:
            raise S3Error("BadDigest", f"{name} differs from the body")
        return value
