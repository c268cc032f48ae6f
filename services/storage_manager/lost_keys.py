"""Whether the KMS keys of a bucket can still be used: those that what is in it was sealed with, and the one it names.

It is asked in this service's own name, which may use the platform's keys alone. Of a customer's key it learns no more
than whether it is there: `AccessDenied` says that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from anyio import to_thread

from crds.meta import Condition, set_condition
from services.sdk.clients.data_keys import KEY_UNAVAILABLE
from services.storage_manager.bucket_directory import bucket_ref
from services.storage_manager.conditions import BucketCondition, BucketReason
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef, Kms
from services.storage_manager.kinds import Bucket
from services.storage_manager.metadata import MetadataIndex

PLATFORM = "alias/aws/"
CHECK_SECONDS = 60.0
_THERE = frozenset({"KMS.AccessDeniedException", "KMS.DisabledException", "KMS.KMSInvalidStateException"})
_GONE = frozenset(
    {
        *("KMS.NotFoundException", "KMS.InvalidCiphertextException", "KMS.InvalidArnException"),
        f"KMS.{KEY_UNAVAILABLE}",  # its material is sealed under a root key that is gone
    }
)


class LostKeys:
    """Asks key-manager once a minute for each bucket. `monotonic`: seconds."""

    def __init__(self, metadata: MetadataIndex, kms: Kms, monotonic: Callable[[], float]) -> None:
        self._metadata, self._kms, self._monotonic = metadata, kms, monotonic
        self._checked_at: dict[tuple[str, str | None], float] = {}

    async def update_condition(self, bucket: Bucket, now: datetime) -> None:
        """Sets the condition `KeysUsable`; while key-manager is away, what was known stays."""
        ref = bucket_ref(bucket)
        asked, moment = (ref.id, ref.key if ref.encrypted else ""), self._monotonic()
        if moment - self._checked_at.get(asked, -CHECK_SECONDS) < CHECK_SECONDS:
            return
        try:
            lost = await self.find_lost(ref)
        except S3Error:
            return
        self._checked_at = {each: at for each, at in self._checked_at.items() if moment - at < CHECK_SECONDS}
        self._checked_at[asked] = moment
        set_condition(bucket.status.conditions, _condition(lost), now=now)

    async def find_lost(self, ref: BucketRef) -> list[str]:
        """The names of the keys that are gone, sorted. Raises S3Error when it cannot be told now."""
        sealed = await to_thread.run_sync(self._metadata.sealed_by, ref.id)
        wrapped = await to_thread.run_sync(self._metadata.wrapped_by, ref.id)
        lost = {name for name in sealed if await self._is_gone(ref, *wrapped[name])}
        # The platform's own keys are made by whoever asks for them first: looking must make none.
        named = ref.key if ref.encrypted and ref.own_key else None
        if named and not named.startswith(PLATFORM) and await self._is_gone(ref, None, named):
            lost.add(named)
        return sorted(lost)

    async def _is_gone(self, ref: BucketRef, wrapped: bytes | None, master: str) -> bool:
        made_for = ref.under(master)
        try:
            if wrapped is None:
                await self._kms.generate(made_for)
            else:
                await self._kms.decrypt(made_for, wrapped)
        except S3Error as fault:
            if fault.code in _GONE:
                return True
            if fault.code not in _THERE:
                raise
        return False


def _condition(lost: list[str]) -> Condition:
    kind = BucketCondition.KEYS_USABLE
    if not lost:
        return Condition(type=kind, status="True", reason=BucketReason.KEYS_AVAILABLE)
    noun = "key" if len(lost) == 1 else "keys"
    text = f"{noun} {', '.join(lost)} cannot be found or used any more: what was sealed with it cannot be read"
    return Condition(type=kind, status="False", reason=BucketReason.KEY_LOST, message=text)
