"""The Kms port: data keys from key-manager.

A bucket's own key is used in the name of whoever asks for the object: their right on the key counts, not ours. The
account's default key belongs to this service, which uses it in its own name.
The encryption context binds every data key to its bucket (`aws:s3:arn`), as S3 does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.sdk.clients.data_keys import DataKeyClient, KeyRefused, KeyRequest, KeysAway
from services.sdk.clients.service_client import ServiceClient
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import ANONYMOUS, DEFAULT_KEY, BucketRef

T = TypeVar("T")


class KmsClient:
    """`client` is that of key-manager. `run` keeps `fault` new, until cancelled."""

    def __init__(self, client: ServiceClient) -> None:
        self._keys = DataKeyClient(client)
        self.run = self._keys.run

    @property
    def fault(self) -> str | None:
        """Why key-manager could not be asked last time; None when it could."""
        return self._keys.fault

    async def generate(self, ref: BucketRef) -> tuple[bytes, bytes, str]:
        """A new data key: (32 bytes, wrapped, ARN of its key). Raises S3Error ServiceUnavailable, KMS...."""
        return await _answered(lambda: self._keys.generate(_request(ref)))

    async def decrypt(self, ref: BucketRef, wrapped: bytes) -> bytes:
        """The plaintext of a wrapped data key. Raises as `generate`."""
        return await _answered(lambda: self._keys.decrypt(_request(ref), wrapped))

    async def rewrap(self, ref: BucketRef, wrapped: bytes, arn: str) -> bytes:
        """The same data key, wrapped under the newest material of its KMS key. Raises as `generate`."""
        return await _answered(lambda: self._keys.rewrap(_request(ref, arn), wrapped))


def _request(ref: BucketRef, arn: str = "") -> KeyRequest:
    """Raises S3Error: nobody may use a customer's key."""
    caller = ref.caller if ref.own_key else None
    if caller is not None and caller.name == ANONYMOUS:
        raise S3Error("AccessDenied", "what a customer's KMS key seals is asked for with a signature")
    return KeyRequest(arn or ref.key or DEFAULT_KEY, {"aws:s3:arn": ref.arn}, ref.namespace, caller)


async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Raises S3Error."""
    try:
        return await ask()
    except KeysAway as away:
        raise S3Error("ServiceUnavailable", str(away)) from away
    except KeyRefused as refused:
        raise S3Error(f"KMS.{refused.code}", refused.said) from refused
