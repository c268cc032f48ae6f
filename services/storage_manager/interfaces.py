"""Interfaces that the S3 operations ask of the rest of the service: who calls, which buckets there are, which keys.

The operations know only these protocols; `services.sdk` and the tests bring what stands behind them.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, Protocol

from services.sdk.aws.sigv4 import RawRequest
from services.sdk.identity import Caller as Identity
from services.storage_manager.aws_chunked import Signing
from services.storage_manager.caller_rights import CallerRights
from services.storage_manager.operations import Verb as Verb

Scope = MutableMapping[str, Any]
DEFAULT_KEY = "alias/aws/s3"
# As the gateway calls whoever does not sign.
ANONYMOUS = "system:anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller. `signing` is set for requests whose chunks are signed; `identity` is what we prove
    with that we act for them. `rights`: what IAM's policies give; `allowed`: that they give this very request.
    """

    name: str
    namespace: str
    signing: Signing | None = None
    groups: tuple[str, ...] = ()
    identity: Identity = field(default=Identity(""), compare=False, repr=False)
    rights: CallerRights = field(default=CallerRights(), compare=False, repr=False)
    allowed: bool = field(default=False, compare=False)

    @property
    def anonymous(self) -> bool:
        """Whether nobody signed."""
        return self.name == ANONYMOUS


@dataclass(frozen=True, slots=True)
class BucketRef:
    """One bucket as operations see it. `id` is unique over namespaces; `created` in seconds since 1970.

    `deleting`: its deletion was asked for; it takes nothing new and goes once it is empty. `objects`: how many its
    resource says it holds, which may be some seconds old. `caller`: for whom it was looked up, whose rights on a
    customer's key count; None in the service's own work. `quota`: bytes and objects it may hold, None for any number.
    `customer_key`: the key that a request brings for what it writes or reads (SSE-C), instead of the bucket's.
    """

    id: str
    name: str
    arn: str
    created: float
    encrypted: bool = True
    key: str | None = None
    namespace: str = "default"
    deleting: bool = False
    objects: int | None = None
    quota: tuple[int | None, int | None] = (None, None)
    customer_key: bytes | None = field(default=None, compare=False, repr=False)
    caller: Identity | None = field(default=None, compare=False, repr=False)

    @property
    def own_key(self) -> bool:
        """Whether the bucket's data keys are made with a customer's key, which not everybody may use."""
        return is_customers_key(self.key)

    def asked_by(self, caller: Identity) -> BucketRef:
        """The same bucket, looked up for somebody. Each request does it: `replace` takes twice as long."""
        return _REF(*_ALL_BUT_CALLER(self), caller=caller)

    def under(self, master: str) -> BucketRef:
        """The same bucket, as it was when that key was its own; empty: the account's default."""
        return replace(self, key=master or None)


_REF: Callable[..., BucketRef] = BucketRef
_ALL_BUT_CALLER = attrgetter(*(each.name for each in fields(BucketRef) if each.name != "caller"))


def is_customers_key(key: str | None) -> bool:
    """Whether that names a KMS key of a customer's, not the account's default."""
    return key not in (None, "", DEFAULT_KEY)


class Authenticator(Protocol):
    """Verifies identity and signature. Raises S3Error AccessDenied, SignatureDoesNotMatch."""

    async def authenticate(self, scope: Scope, request: RawRequest) -> Caller:
        """`request`: as it came, of that scope."""
        ...


class BucketDirectory(Protocol):
    """Bucket resources, touched as the caller. Raises S3Error NoSuchBucket, AccessDenied, BucketAlready..."""

    async def all(self, caller: Caller) -> list[BucketRef]: ...

    async def locate(self, caller: Caller, name: str) -> BucketRef:
        """The bucket, whoever may do something with it."""
        ...

    def namespaces(self) -> set[str]:
        """Those that have buckets."""
        ...

    async def has_role(self, caller: Caller, verb: Verb, name: str) -> bool:
        """Whether a role of the cloud gives that, on buckets of the caller's own namespace."""
        ...

    async def create(self, caller: Caller, name: str) -> BucketRef: ...

    async def delete(self, caller: Caller, ref: BucketRef) -> None: ...

    async def set_encryption(self, ref: BucketRef, encryption: dict[str, Any]) -> None:
        """Have `spec.encryption` of the Bucket say that."""
        ...

    async def report_count(self, ref: BucketRef, objects: int) -> None:
        """Have the Bucket say at once that it holds so many. Never raises: it is counted again soon."""
        ...


class Kms(Protocol):
    """Key-manager. Raises S3Error ServiceUnavailable when it is away."""

    async def generate(self, ref: BucketRef) -> tuple[bytes, bytes, str]:
        """A new data key: (plaintext 32 bytes, wrapped, ARN of the key that wraps it)."""
        ...

    async def decrypt(self, ref: BucketRef, wrapped: bytes) -> bytes: ...

    async def rewrap(self, ref: BucketRef, wrapped: bytes, arn: str) -> bytes:
        """The same data key, wrapped under what is the material of that KMS key now (empty: of the bucket's)."""
        ...
