"""The Registry: buckets are resources. Read from a copy in memory, written in the caller's name."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any

import anyio
import httpx

from crds.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound
from crds.names import subdomain_fault
from services.sdk.context import ServiceContext
from services.sdk.informer import Informer
from services.sdk.resources import Resources
from services.storage_manager.conditions import BucketReason
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef, Caller, Verb
from services.storage_manager.kinds import BUCKET, Bucket

log = logging.getLogger(__name__)
# The finalizer runs in this very process: longer than this only when the conductor is slow.
DELETION_SECONDS = 5.0
POLL_SECONDS = 0.05
_REMEMBERED = 1024


class ResourceBucketDirectory:
    """Rights are those on the Bucket resource; answers are some seconds old at most."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._informer: Informer[Bucket] = context.informer(BUCKET)
        self._refs = _BucketRefs()

    async def all(self, caller: Caller) -> list[BucketRef]:
        """Return the buckets of the caller's namespace, by name. Raises S3Error AccessDenied."""
        with _AS_S3_ERRORS:
            await self._require(caller, "list", "")
            found = [bucket_ref(each) for each in self._informer.all(caller.namespace)]
            return sorted(found, key=lambda ref: ref.name)

    async def locate(self, caller: Caller, name: str) -> BucketRef:
        """Raises S3Error NoSuchBucket. Nothing is judged yet.

        Names belong to namespaces, so the caller's own comes first. Of other accounts' buckets the oldest of that
        name is meant: nobody can put another one in its place.
        """
        found = None if caller.anonymous else self._informer.get(name, caller.namespace)
        if found is None and subdomain_fault(name):
            raise S3Error("NoSuchBucket", "there is no bucket of that name")
        with _AS_S3_ERRORS:
            if found is None and not caller.anonymous:
                found = await self._informer.read(name, caller.namespace)
            found = found or self._oldest(name)
            if found is None:
                raise S3Error("NoSuchBucket", f"there is no bucket {name}")
            return self._refs.of(found).asked_by(caller.identity)

    async def has_role(self, caller: Caller, verb: Verb, name: str) -> bool:
        """Whether a role of the cloud lets the caller do that with buckets of that name, in their own namespace."""
        if caller.anonymous:
            return False
        with _AS_S3_ERRORS:
            asked = (caller.identity, verb, BUCKET.plural, BUCKET.group, name, caller.namespace)
            return await self._context.authorizer.allows(*asked)

    def namespaces(self) -> set[str]:
        """Those that have buckets."""
        return {each.metadata.namespace or "default" for each in self._informer.all()}

    def _oldest(self, name: str) -> Bucket | None:
        named = [each for each in self._informer.all() if each.metadata.name == name]
        return min(named, key=lambda each: (bucket_ref(each).created, each.metadata.uid or ""), default=None)

    async def create(self, caller: Caller, name: str) -> BucketRef:
        """Raises S3Error BucketAlreadyOwnedByYou, AccessDenied."""
        with _AS_S3_ERRORS:
            resources = await self._acting(caller, "create", name)
            made = await resources.create(BUCKET, BUCKET.new(name, namespace=caller.namespace))
            self._informer.put(made)
            return bucket_ref(made).asked_by(caller.identity)

    async def delete(self, caller: Caller, ref: BucketRef) -> None:
        """Whoever may: in their name where a role gives it, else a policy did. Returns when it is gone, so that its
        name is free again. Raises S3Error NoSuchBucket, AccessDenied.
        """
        name, namespace = ref.name, ref.namespace
        by_role = namespace == caller.namespace and await self.has_role(caller, "delete", name)
        with _AS_S3_ERRORS:
            resources = self._context.acting_for(caller.identity) if by_role else self._context.resources
            if (here := self._informer.get(name, namespace)) is not None:
                await self.report_count(bucket_ref(here), 0)  # it was closed, so it is empty and stays so
            await resources.delete(BUCKET, name, namespace)
            if (gone := self._informer.get(name, namespace)) is not None:
                self._informer.drop(gone)
            with anyio.move_on_after(DELETION_SECONDS):
                while await self._is_there(name, namespace):  # noqa: ASYNC110 - others delete it
                    await anyio.sleep(POLL_SECONDS)

    async def set_encryption(self, ref: BucketRef, encryption: dict[str, Any]) -> None:
        """In our own name: that the caller may was judged with the bucket's policy. Raises S3Error."""
        with _AS_S3_ERRORS:
            patch = {"spec": {"encryption": encryption}}
            self._informer.put(await self._context.resources.patch(BUCKET, ref.name, patch, ref.namespace))

    async def report_count(self, ref: BucketRef, objects: int) -> None:
        """Kubernetes' ways to a bucket go by what its status says: it must not say "empty" of a full one for long."""
        patch = {"status": {"objects": objects, **({} if objects else {"bytes": 0})}}
        try:
            found = await self._context.resources.patch(BUCKET, ref.name, patch, ref.namespace, subresource="status")
        except (ApiError, OSError, httpx.HTTPError) as why:
            log.warning("bucket %s does not say yet how many objects it holds: %s", ref.name, why)
        else:
            self._informer.put(found)

    async def _is_there(self, name: str, namespace: str) -> bool:
        try:
            return await self._context.resources.get(BUCKET, name, namespace) is not None
        except NotFound:
            return False

    async def _require(self, caller: Caller, verb: Verb, name: str) -> None:
        """Raises Forbidden unless IAM's policies or a role allow it."""
        if caller.allowed:
            return
        await self._context.authorizer.require(
            caller.identity, verb, BUCKET.plural, BUCKET.group, name, caller.namespace
        )

    async def _acting(self, caller: Caller, verb: Verb, name: str) -> Resources:
        """Return resources to touch in the caller's own name; in ours where IAM's policies alone allow it."""
        asked = (caller.identity, verb, BUCKET.plural, BUCKET.group, name, caller.namespace)
        if caller.allowed and not await self._context.authorizer.allows(*asked):
            return self._context.resources
        await self._context.authorizer.require(*asked)
        return self._context.acting_for(caller.identity)


def bucket_ref(bucket: Bucket) -> BucketRef:
    """The bucket as operations see it. Its uid names its data: a bucket made anew begins empty."""
    meta, encryption = bucket.metadata, bucket.spec.encryption
    made = meta.creation_timestamp.timestamp() if meta.creation_timestamp else 0.0
    return BucketRef(
        id=meta.uid or "",
        name=meta.name,
        arn=f"arn:aws:s3:::{meta.name}",
        created=made,
        encrypted=encryption.enabled,
        key=encryption.key,
        namespace=meta.namespace or "default",
        deleting=meta.deletion_timestamp is not None,
        objects=bucket.status.objects,
        quota=(bucket.spec.quota.bytes, bucket.spec.quota.objects),
    )


class _BucketRefs:
    """Made once for each version of a Bucket: each request asks for one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | None, str | None], BucketRef] = {}

    def of(self, bucket: Bucket) -> BucketRef:
        version = (bucket.metadata.uid, bucket.metadata.resource_version)
        if (ref := self._known.get(version)) is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            ref = self._known[version] = bucket_ref(bucket)
        return ref


class _AsS3Errors:
    """The conductor's refusals as S3 names them. One for all: each request enters it several times."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if isinstance(error, ApiError):
            raise _as_s3_error(error) from error


def _as_s3_error(refused: ApiError) -> S3Error:
    if isinstance(refused, Forbidden):
        return S3Error("AccessDenied", str(refused))
    if isinstance(refused, NotFound):
        return S3Error("NoSuchBucket", str(refused))
    if isinstance(refused, AlreadyExists):
        return S3Error("BucketAlreadyOwnedByYou", str(refused))
    if isinstance(refused, Conflict):
        if any(cause.reason == BucketReason.BUCKET_NOT_EMPTY for cause in refused.causes):
            return S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty")
        return S3Error("OperationAborted", str(refused))
    return S3Error("ServiceUnavailable" if refused.code >= 500 else "InvalidRequest", str(refused))


_AS_S3_ERRORS = _AsS3Errors()
