"""The context every operation is handed: the metadata index, the blobs, the keys, and one request."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from anyio import to_thread

from crds.numbers import whole_number
from services.sdk.aws.accounts import account_of
from services.storage_manager.answers import parse_request
from services.storage_manager.blob_pins import BlobPins
from services.storage_manager.blobs import Blobs, Writer, new_id
from services.storage_manager.caller_rights import object_arn
from services.storage_manager.checksums import CHECKSUMS
from services.storage_manager.data_keys import DataKeys
from services.storage_manager.errors import S3Error, disk_full
from services.storage_manager.interfaces import BucketDirectory, BucketRef, Caller
from services.storage_manager.metadata import MetadataIndex, Object, Piece
from services.storage_manager.operations import S3Operation
from services.storage_manager.request_body import Receive, RequestBody
from services.storage_manager.supported_parameters import OWNER, SOURCE_OWNER

Json = dict[str, Any]
log = logging.getLogger(__name__)
SMALL_BODY = 2 << 20
MOST_MEMBERS = 100
_OF_VERSIONS = {
    f"s3:{verb}Object{what}": f"s3:{verb}ObjectVersion{what}"
    for verb in ("Get", "Put", "Delete")
    for what in ("", "Acl", "Tagging", "Attributes")
} | {"s3:PutObject": "s3:PutObject"}
# What the metadata index needs to go on, and to remove things.
LEAST_FREE = 64 << 20


@dataclass(slots=True)
class S3Request:
    """One request, path style: `/bucket/key`."""

    declared: S3Operation
    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    caller: Caller
    receive: Receive

    @property
    def operation(self) -> str:
        """Its name."""
        return self.declared.name

    @property
    def action(self) -> str:
        """As IAM writes it: what is done to a version that is named is another one."""
        own = self.declared.action
        return _OF_VERSIONS.get(own, own) if "versionId" in self.query else own

    async def params(self) -> dict[str, Any]:
        """The whole request as members of the model, its document (checked) among them. Raises MalformedXML."""
        return parse_request(self, await self.document())

    async def document(self) -> bytes:
        """A small body, checked. Raises MalformedXML when it is not small."""
        headers = self.headers
        if self.operation == "CompleteMultipartUpload":  # its checksums are the object's, not the document's
            headers = {name: value for name, value in headers.items() if name not in CHECKSUMS}
        body, out = RequestBody(headers, self.caller, self.receive), bytearray()
        async for block in body.blocks():
            body.absorb(block)
            out += block
            if len(out) > SMALL_BODY:
                raise S3Error("MalformedXML", "the document is too long")
        body.verify()
        return bytes(out)


@dataclass(slots=True)
class S3Response:
    """`content` is bytes, or a stream of `length` bytes."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | AsyncIterator[bytes] = b""
    length: int | None = None


@dataclass(frozen=True, slots=True)
class S3Context:
    """Everything operations work with."""

    directory: BucketDirectory
    metadata: MetadataIndex
    blobs: Blobs
    keys: DataKeys
    pins: BlobPins = field(default_factory=BlobPins)
    clock: Callable[[], float] = time.time

    async def bucket(self, request: S3Request) -> BucketRef:
        """The bucket of the request, if its caller may do this there. Raises NoSuchBucket, AccessDenied."""
        ref = await self.directory.find(request.caller, request.bucket, request.declared.verb)
        _require_expected_owner(ref, request.headers.get(OWNER))
        return ref

    async def source_bucket(self, request: S3Request, bucket: str, key: str, version: str | None = None) -> BucketRef:
        """The bucket that is copied from, as `bucket`; the caller may read that object, or that version of it."""
        verb = request.declared.source
        if verb is None:
            raise S3Error("InvalidRequest", f"{request.operation} has no source")
        caller = request.caller
        may_read = caller.rights.allows(_reading(version), object_arn(bucket, key))
        ref = await self.directory.find(replace(caller, allowed=may_read), bucket, verb)
        _require_expected_owner(ref, request.headers.get(SOURCE_OWNER))
        return ref

    async def writable_bucket(self, request: S3Request) -> BucketRef:
        """The bucket something new goes into. Raises NoSuchBucket when it is on its way out."""
        ref = await self.bucket(request)
        if ref.deleting:
            raise S3Error("NoSuchBucket", f"{ref.name} is being deleted: it takes nothing new")
        return ref

    def configuration(self, ref: BucketRef, name: str) -> Json | None:
        """One of the bucket's configuration documents (`metadata/configurations.py`), None where there is none."""
        return self.metadata.configuration(ref.id, name)

    async def put_configuration(self, ref: BucketRef, name: str, document: Json) -> None:
        """Durable when it returns. Raises NoSuchBucket for a bucket that is on its way out."""
        await to_thread.run_sync(self.metadata.put_configuration, ref.id, name, document)

    async def drop_configuration(self, ref: BucketRef, name: str) -> None:
        """Absent is fine."""
        await to_thread.run_sync(self.metadata.drop_configuration, ref.id, name)

    async def write_blob(
        self, ref: BucketRef, blocks: AsyncIterator[bytes], absorb: Callable[[bytes], None]
    ) -> tuple[Writer, str, str]:
        """A blob written but not committed: (writer, blob id, data key id)."""
        blob, key = new_id(), await self.keys.active_key(ref)
        cipher = await self.keys.cipher(ref, key, blob)
        writer = await to_thread.run_sync(self.blobs.write, blob, cipher)

        def take(block: bytes) -> None:
            absorb(block)
            writer.feed(block)

        try:
            async for block in blocks:
                await to_thread.run_sync(take, block)
        except BaseException:
            writer.abandon()
            raise
        return writer, blob, key

    async def receive_body(
        self, ref: BucketRef, request: S3Request, also: str = ""
    ) -> tuple[Piece, str, dict[str, str]]:
        """The request's body as a durable blob: (piece, md5 hex, checksums, `also` among them)."""
        await self.require_room(ref, declared_length(request.headers))
        body = RequestBody(request.headers, request.caller, request.receive, also)
        writer, blob, key = await self.write_blob(ref, body.blocks(), body.absorb)
        try:
            sums = body.verify()
        except BaseException:
            writer.abandon()
            raise
        await to_thread.run_sync(writer.commit)
        piece = Piece(blob, body.size, key)
        await self.require_room_for(ref, piece)
        return piece, body.md5.hexdigest(), sums

    async def require_room(self, ref: BucketRef, size: int) -> None:
        """Raises QuotaExceeded where `size` bytes more are not allowed, InsufficientStorage on a full disk."""
        free = (await to_thread.run_sync(shutil.disk_usage, self.blobs.root)).free
        if free - size < LEAST_FREE:
            raise disk_full()
        most_bytes, most_objects = ref.quota
        if most_bytes is None and most_objects is None:
            return
        objects, used = await to_thread.run_sync(self.metadata.usage, ref.id)
        used += await to_thread.run_sync(self.metadata.pending, ref.id)
        if most_bytes is not None and used + size > most_bytes:
            raise S3Error("QuotaExceeded", f"{ref.name} holds {used} bytes; its quota is {most_bytes}")
        if most_objects is not None and objects >= most_objects:
            raise S3Error("QuotaExceeded", f"{ref.name} holds {objects} objects; its quota is {most_objects}")

    async def require_room_for(self, ref: BucketRef, piece: Piece) -> None:
        """Judge what arrived without a length, or beside others, by what it is. Raises as `require_room`."""
        try:
            await self.require_room(ref, piece.size)
        except S3Error:
            await self.abandon([piece.blob])
            raise

    async def stream(self, ref: BucketRef, found: Object, start: int, stop: int) -> AsyncIterator[bytes]:
        """Plaintext [start, stop) of the object. Raises Corrupt."""
        with self.pins.hold(piece.blob for piece in found.pieces):
            base = 0
            for piece in found.pieces:
                first, last = max(0, start - base), min(piece.size, stop - base)
                if first < last:
                    cipher = await self.keys.cipher(ref, piece.key, piece.blob)
                    blocks = self.blobs.read(piece.blob, cipher, piece.size, first, last)
                    while (block := await to_thread.run_sync(_next, blocks)) is not None:
                        yield block
                base += piece.size

    async def report_emptiness(self, ref: BucketRef) -> None:
        """Tell the bucket's resource at once when it got its first object, or lost its last."""
        empty = await to_thread.run_sync(self.metadata.is_empty, ref.id)
        if empty != (ref.objects == 0):
            objects = await to_thread.run_sync(self.metadata.usage, ref.id)
            await self.directory.report_count(ref, objects[0])

    async def abandon(self, blobs: Iterable[str]) -> None:
        """Remove blobs nothing ever named. What fails here is collected later."""
        for blob in blobs:
            try:
                await to_thread.run_sync(self.blobs.forget, blob)
            except OSError as why:
                log.warning("blob %s stays until the next collection: %s", blob, why)


def _reading(version: str | None) -> str:
    return "s3:GetObject" if version is None else "s3:GetObjectVersion"


def declared_length(headers: dict[str, str]) -> int:
    """Return the length the headers declare for the body; 0 when they do not."""
    return whole_number(headers.get("x-amz-decoded-content-length") or headers.get("content-length", "")) or 0


def _require_expected_owner(ref: BucketRef, wanted: str | None) -> None:
    """`x-amz-expected-bucket-owner`: the guard of those who know whose bucket they mean."""
    if wanted is not None and wanted != account_of(ref.namespace):
        raise S3Error("AccessDenied", f"the owner of {ref.name} is not the account {wanted[:20]}")


def _next(blocks: Iterator[bytes]) -> bytes | None:
    return next(blocks, None)


def read_query(raw: bytes) -> dict[str, str]:
    """The query, blank values kept (`?uploads`). Raises InvalidArgument for what is not UTF-8, or said twice."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_MEMBERS)
    except ValueError:
        raise S3Error("InvalidArgument", f"the query is no UTF-8, or has more than {MOST_MEMBERS} members") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise S3Error("InvalidArgument", "a query member stands there twice")
    return found


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by lower-case name.

    What stands there twice is one list (RFC 9110), but what S3 means must be said once.
    """
    found: dict[str, str] = {}
    for name, value in ((k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in raw):
        if name in found and name.startswith(("x-amz-", "content-", "if-", "range")):
            raise S3Error("InvalidArgument", f"the header {name} stands there twice")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found
