"""The context every operation is handed: the metadata index, the blobs, the keys, and one request."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

from anyio import to_thread

from crds.numbers import whole_number
from services.sdk.aws.accounts import account_of
from services.sdk.aws.sigv4 import RawRequest
from services.storage_manager.answers import parse_request
from services.storage_manager.authorization import Target, authorize
from services.storage_manager.blob_pins import BlobPins
from services.storage_manager.blobs import Blobs
from services.storage_manager.checksums import CHECKSUMS
from services.storage_manager.configuration.new_acls import actions_of_headers
from services.storage_manager.damaged_data import DamagedData
from services.storage_manager.data_keys import DataKeys
from services.storage_manager.errors import S3Error, disk_full
from services.storage_manager.interfaces import BucketDirectory, BucketRef, Caller
from services.storage_manager.metadata import MetadataIndex, Object, Piece
from services.storage_manager.notifications.giving_up import MOST_BYTES_OF_BUCKET
from services.storage_manager.notifications.object_events import ObjectEvents, Told
from services.storage_manager.object_data import ObjectData
from services.storage_manager.operations import S3Operation
from services.storage_manager.request_body import Receive, RequestBody
from services.storage_manager.segment_format import is_small, small_blob_id
from services.storage_manager.small_blobs import SmallBlobs
from services.storage_manager.supported_parameters import OWNER, SOURCE_OWNER

Json = dict[str, Any]
T = TypeVar("T")
V = TypeVar("V", bound=Object | None)
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
    """One request, path style: `/bucket/key`. `id`: as its answer tells it."""

    declared: S3Operation
    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    caller: Caller
    receive: Receive
    id: str = ""

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
    damaged: DamagedData = field(default_factory=DamagedData)
    data: ObjectData = field(init=False)
    events: ObjectEvents = field(init=False)

    def __post_init__(self) -> None:
        small = SmallBlobs(self.blobs.root.with_name("segments"), self.metadata)
        object.__setattr__(self, "data", ObjectData(self.blobs, small, self.keys, self.pins, self.damaged))
        object.__setattr__(self, "events", ObjectEvents(self.metadata))

    async def bucket(self, request: S3Request) -> BucketRef:
        """The bucket of the request, if its caller may do this there. Raises NoSuchBucket, AccessDenied."""
        ref = await self.locate(request)
        await self.require_allowed(request, ref, request.action, request.key, request.query.get("versionId"))
        return ref

    async def locate(self, request: S3Request) -> BucketRef:
        """The bucket of the request, before anything is judged. Raises NoSuchBucket, AccessDenied."""
        ref = await self.directory.locate(request.caller, request.bucket)
        _require_expected_owner(ref, request.headers.get(OWNER))
        return ref

    async def require_allowed(
        self, request: S3Request, ref: BucketRef, action: str, key: str = "", version: str | None = None
    ) -> None:
        """Raises AccessDenied unless the caller may do that with the bucket, or that object of it, as well."""
        target = Target(ref, action, key, request.declared.verb, version)
        await authorize(self.directory, self.metadata, request, target)

    async def require_may_know(self, request: S3Request) -> None:
        """Raises AccessDenied for who may not list the bucket: they do not learn which keys there are."""
        source = unquote(request.headers.get("x-amz-copy-source", "")).lstrip("/")
        name, _, key = (source or f"{request.bucket}/{request.key}").partition("/")
        ref = await self.directory.locate(request.caller, name)
        listed = replace(request, query={"prefix": key})
        await authorize(self.directory, self.metadata, listed, Target(ref, "s3:ListBucket", "", "list"))

    async def source_bucket(self, request: S3Request, bucket: str, key: str, version: str | None = None) -> BucketRef:
        """The bucket that is copied from, as `bucket`; the caller may read that object, or that version of it."""
        verb = request.declared.source
        if verb is None:
            raise S3Error("InvalidRequest", f"{request.operation} has no source")
        ref = await self.directory.locate(request.caller, bucket)
        _require_expected_owner(ref, request.headers.get(SOURCE_OWNER))
        target = Target(ref, _reading(version), key, verb, version, source=True)
        await authorize(self.directory, self.metadata, request, target)
        return ref

    async def writable_bucket(self, request: S3Request) -> BucketRef:
        """The bucket something new goes into. Raises NoSuchBucket when it is on its way out."""
        ref = await self.bucket(request)
        for action in actions_of_headers(request.headers) if request.declared.action == "s3:PutObject" else ():
            await self.require_allowed(request, ref, action, request.key)
        if ref.deleting:
            raise S3Error("NoSuchBucket", f"{ref.name} is being deleted: it takes nothing new")
        return ref

    def configuration(self, ref: BucketRef, name: str) -> Json | None:
        """One of the bucket's configuration documents (`metadata/configurations.py`), None where there is none."""
        return self.metadata.configuration(ref.id, name)

    async def put_configuration(self, ref: BucketRef, name: str, document: Json) -> None:
        """Durable when it returns. Raises NoSuchBucket for a bucket that is on its way out."""
        await self.commit_alone(partial(self.metadata.put_configuration, ref.id, name, document))

    async def drop_configuration(self, ref: BucketRef, name: str) -> None:
        """Absent is fine."""
        await self.commit_alone(partial(self.metadata.drop_configuration, ref.id, name))

    async def receive_body(
        self, ref: BucketRef, request: S3Request, also: str = ""
    ) -> tuple[Piece, str, dict[str, str]]:
        """The request's body as a new piece: (piece, md5 hex, checksums, `also` among them)."""
        self.require_disk(declared_length(request.headers))
        await self.require_room(ref, declared_length(request.headers))
        body = RequestBody(request.headers, request.caller, request.receive, also)
        taken = BodyIntake(self, ref, body)
        piece = await self.data.store(ref, body.blocks(), taken)
        return piece, body.md5.hexdigest(), taken.sums

    async def commit(self, change: Callable[[], T], new: Sequence[Piece] = ()) -> T:
        """Run the blocking `change` of the metadata index, and return once it is durable, as are the pieces that it
        names for the first time (`new`). Many share one transaction. Raises what `change` raises; they are gone then.
        """
        small = [(small_blob_id(piece.blob), piece.size) for piece in new if is_small(piece.blob)]
        try:
            return await self.data.small.committer.run(change, small)
        except S3Error:
            await self.abandon(piece.blob for piece in new)
            raise

    async def commit_told(self, change: Told[V], new: Sequence[Piece] = ()) -> V:
        """As `commit`, for what others are told of."""
        made = await self.commit(change, new)
        if change.recorded:
            self.events.wake()
        return made

    async def commit_alone(self, change: Callable[[], T]) -> T:
        """As `commit`, for what does more after its own transaction, or is rare: copies have it when this returns."""
        return await self.data.small.committer.run_alone(change)

    def require_disk(self, size: int) -> None:
        """Raises InsufficientStorage where the disk has no room for that. It takes some microseconds."""
        disk = os.statvfs(self.blobs.root)
        if disk.f_bavail * disk.f_frsize - size < LEAST_FREE:
            raise disk_full()

    async def require_room(self, ref: BucketRef, size: int) -> None:
        """Raises QuotaExceeded where `size` bytes more are not allowed."""
        most_bytes, most_objects = ref.quota
        if most_bytes is None and most_objects is None:
            return
        room = None if most_bytes is None else most_bytes - size
        objects, used, events = await to_thread.run_sync(self._held, ref.id, room)
        if most_bytes is not None and used + size > most_bytes:
            of_events = f", {events} of them in events that wait for their destinations" if events else ""
            raise S3Error("QuotaExceeded", f"{ref.name} holds {used} bytes{of_events}; its quota is {most_bytes}")
        if most_objects is not None and objects >= most_objects:
            raise S3Error("QuotaExceeded", f"{ref.name} holds {objects} objects; its quota is {most_objects}")

    def _held(self, bucket: str, room: int | None) -> tuple[int, int, int]:
        """Objects, all bytes that count, and how many of them are of events that wait. Those are counted where they
        may decide whether all takes more than `room`, which nobody asks for None: to count them takes milliseconds.
        """
        objects, used = self.metadata.usage(bucket)
        used += self.metadata.pending(bucket)
        decided = room is None or used + MOST_BYTES_OF_BUCKET <= room
        events = 0 if decided else self.events.outbox.size(bucket)
        return objects, used + events, events

    async def report_emptiness(self, ref: BucketRef) -> None:
        """Tell the bucket's resource at once when it got its first object, or lost its last."""
        empty = await to_thread.run_sync(self.metadata.is_empty, ref.id)
        if empty != (ref.objects == 0):
            objects = await to_thread.run_sync(self.metadata.usage, ref.id)
            await self.directory.report_count(ref, objects[0])

    async def abandon(self, blobs: Iterable[str]) -> None:
        """Remove blobs nothing ever named. What fails here is collected later."""
        for blob in blobs:
            if is_small(blob):
                continue  # nothing has to be done for it: what no row names is dead
            try:
                await to_thread.run_sync(self.blobs.forget, blob)
            except OSError as why:
                log.warning("blob %s stays until the next collection: %s", blob, why)


def _reading(version: str | None) -> str:
    return "s3:GetObject" if version is None else "s3:GetObjectVersion"


@dataclass(slots=True)
class BodyIntake:
    """A request's body on its way into a piece: digested, and judged once it is all there."""

    context: S3Context
    ref: BucketRef
    body: RequestBody
    sums: dict[str, str] = field(default_factory=dict)

    def absorb(self, data: bytes) -> None:
        """Raises EntityTooLarge."""
        self.body.absorb(data)

    async def verify(self) -> None:
        """What came without a length, or beside others, is judged by what it is. Raises S3Error."""
        self.sums = self.body.verify()
        if self.body.size > SMALL_BODY or self.body.size != declared_length(self.body.headers):
            self.context.require_disk(0)  # a small one was judged by its length just now
        await self.context.require_room(self.ref, self.body.size)


def declared_length(headers: dict[str, str]) -> int:
    """Return the length the headers declare for the body; 0 when they do not."""
    return whole_number(headers.get("x-amz-decoded-content-length") or headers.get("content-length", "")) or 0


def _require_expected_owner(ref: BucketRef, wanted: str | None) -> None:
    """`x-amz-expected-bucket-owner`: the guard of those who know whose bucket they mean."""
    if wanted is not None and wanted != account_of(ref.namespace):
        raise S3Error("AccessDenied", f"the owner of {ref.name} is not the account {wanted[:20]}")


def read_query(raw: bytes) -> dict[str, str]:
    """The query, blank values kept (`?uploads`). Raises InvalidArgument for what is not UTF-8, or said twice."""
    if not raw:
        return {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_MEMBERS)
    except ValueError:
        raise S3Error("InvalidArgument", f"the query is no UTF-8, or has more than {MOST_MEMBERS} members") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise S3Error("InvalidArgument", "a query member stands there twice")
    return found


def read_headers(request: RawRequest) -> dict[str, str]:
    """Return headers by lower-case name.

    What stands there twice is one list (RFC 9110), but what S3 means must be said once.
    """
    if not request.doubled:
        return request.first
    found: dict[str, str] = {}
    for name, value in request.headers:
        if name in found:
            if name.startswith(("x-amz-", "content-", "if-", "range")):
                raise S3Error("InvalidArgument", f"the header {name} stands there twice")
            value = f"{found[name]},{value}"
        found[name] = value
    return found
