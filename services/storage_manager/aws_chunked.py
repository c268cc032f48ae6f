"""`aws-chunked` bodies: sizes, chunk signatures and trailers taken off the stream.

Source: "Signature calculations for the Authorization header: transferring payload in multiple chunks" and
"... including trailing headers" (S3 API reference). Pure: bytes in, payload out; memory is bounded.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from services.storage_manager.errors import S3Error

LINE_LIMIT = 8192
EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Signing:
    """What chunk signatures build on. `date` is `20260102T030405Z`, `seed` the request's signature."""

    key: bytes
    date: str
    scope: str
    seed: str


@dataclass(slots=True)
class Decoder:
    """Feed it the body, take payload. `signing` None means chunks are not signed. Raises S3Error."""

    signing: Signing | None
    trailing: bool
    trailers: dict[str, str] = field(default_factory=dict)
    done: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _left: int = -1
    _crlf: bool = False
    _in_trailer: bool = False
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    _claimed: str = ""
    _previous: str = ""

    def __post_init__(self) -> None:
        self._previous = self.signing.seed if self.signing else ""

    def feed(self, data: bytes) -> bytes:
        """Payload that became available."""
        self._expect(not (self.done and data))  # what follows the end is nobody's, and must not be kept
        self._buffer += data
        out = bytearray()
        while not self.done and self._step(out):
            pass
        self._expect(not (self.done and self._buffer))
        return bytes(out)

    def finish(self) -> None:
        """Raises IncompleteBody when the stream ended early."""
        if not self.done:
            raise S3Error("IncompleteBody", "the chunked body ended early")

    def _step(self, out: bytearray) -> bool:
        if self._left > 0:
            return self._take_payload(out)
        line = self._line()
        if line is None:
            return False
        if self._crlf:
            self._expect(line == b"")
            self._crlf = False
        elif self._in_trailer:
            self._trailer(line)
        else:
            self._chunk_header(line)
        return True

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        self._expect((end if end >= 0 else len(self._buffer)) <= LINE_LIMIT)
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _chunk_header(self, line: bytes) -> None:
        size, _, extension = line.partition(b";")
        self._expect(0 < len(size) <= 16 and all(c in b"0123456789abcdefABCDEF" for c in size))
        name, _, signature = extension.strip().partition(b"=")
        self._expect(name in (b"", b"chunk-signature"))
        self._claimed = signature.decode("latin-1") if name == b"chunk-signature" else ""
        self._left = int(size, 16)
        self._hash = hashlib.sha256()
        if self._left == 0:
            self._check_chunk()
            self._in_trailer = True

    def _take_payload(self, out: bytearray) -> bool:
        if not self._buffer:
            return False
        piece = self._buffer[: self._left]
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        if self.signing:
            self._hash.update(piece)
        out += piece
        if self._left == 0:
            self._check_chunk()
            self._crlf = True
        return True

    def _check_chunk(self) -> None:
        self._check("AWS4-HMAC-SHA256-PAYLOAD", f"{EMPTY}\n{self._hash.hexdigest()}", self._claimed)

    def _trailer(self, line: bytes) -> None:
        if line:
            name, _, value = line.decode("latin-1").partition(":")
            self._expect(len(self.trailers) < 16)
            self.trailers[name.strip().lower()] = value.strip()
            return
        if self.signing and self.trailing:
            claimed = self.trailers.pop("x-amz-trailer-signature", "")
            text = "".join(f"{k}:{v}\n" for k, v in sorted(self.trailers.items()))
            self._check("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(text.encode("latin-1")).hexdigest(), claimed)
        self.done = True

    def _check(self, algorithm: str, tail: str, claimed: str) -> None:
        if self.signing is None:
            return
        text = "\n".join((algorithm, self.signing.date, self.signing.scope, self._previous, tail))
        right = hmac.new(self.signing.key, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right.encode(), claimed.encode("latin-1", "replace")):
            raise S3Error("SignatureDoesNotMatch", "a chunk's signature does not match")
        self._previous = right

    def _expect(self, sane: bool) -> None:
        if not sane:
            raise S3Error("InvalidRequest", "the aws-chunked body is malformed")
