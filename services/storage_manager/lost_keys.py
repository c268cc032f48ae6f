"""Whether the KMS keys of a bucket can still be used: those that what is in it was sealed with, and the one it names.

It is asked in this service's own name, which may use the platform's keys alone. Of a customer's key it learns no more
than whether it is there: `AccessDenied` says that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from anyio import to_thread

from crds.meta import Condition, set_condition
from services.storage_manager.book import Metadata
from services.storage_manager.faults import S3Fault
from services.storage_manager.kinds import Bucket
from services.storage_manager.ports import Kms, Place
from services.storage_manager.registry import place_of

KEYS_USABLE = "KeysUsable"
LOST = "KeyLost"
PLATFORM = "alias/aws/"
LOOK_SECONDS = 60.0
_THERE = frozenset({"KMS.AccessDeniedException", "KMS.DisabledException", "KMS.KMSInvalidStateException"})
_GONE = frozenset({"KMS.NotFoundException", "KMS.InvalidCiphertextException", "KMS.InvalidArnException"})


class LostKeys:
    """Asks key-manager once a minute for each bucket. `monotonic`: seconds."""

    def __init__(self, book: Metadata, kms: Kms, monotonic: Callable[[], float]) -> None:
        self._book, self._kms, self._monotonic = book, kms, monotonic
        self._looked: dict[tuple[str, str | None], float] = {}

    async def note(self, bucket: Bucket, now: datetime) -> None:
        """Sets the condition `KeysUsable`; while key-manager is away, what was known stays."""
        place = place_of(bucket)
        asked, moment = (place.id, place.key if place.encrypted else ""), self._monotonic()
        if moment - self._looked.get(asked, -LOOK_SECONDS) < LOOK_SECONDS:
            return
        try:
            lost = await self.look(place)
        except S3Fault:
            return
        self._looked = {each: at for each, at in self._looked.items() if moment - at < LOOK_SECONDS}
        self._looked[asked] = moment
        set_condition(bucket.status.conditions, _condition(lost), now=now)

    async def look(self, place: Place) -> list[str]:
        """The names of the keys that are gone, sorted. Raises S3Fault when it cannot be told now."""
        sealed = await to_thread.run_sync(self._book.sealed_by, place.id)
        wrapped = await to_thread.run_sync(self._book.wrapped_by, place.id)
        lost = {name for name in sealed if await self._is_gone(place, *wrapped[name])}
        # The platform's own keys are made by whoever asks for them first: looking must make none.
        named = place.key if place.encrypted and place.own_key else None
        if named and not named.startswith(PLATFORM) and await self._is_gone(place, None, named):
            lost.add(named)
        return sorted(lost)

    async def _is_gone(self, place: Place, wrapped: bytes | None, master: str) -> bool:
        made_for = place.under(master)
        try:
            if wrapped is None:
                await self._kms.generate(made_for)
            else:
                await self._kms.decrypt(made_for, wrapped)
        except S3Fault as fault:
            if fault.code in _GONE:
                return True
            if fault.code not in _THERE:
                raise
        return False


def _condition(lost: list[str]) -> Condition:
    if not lost:
        return Condition(type=KEYS_USABLE, status="True", reason="KeysThere", message="")
    noun = "key" if len(lost) == 1 else "keys"
    text = f"{noun} {', '.join(lost)} cannot be found or used any more: what was sealed with it cannot be read"
    return Condition(type=KEYS_USABLE, status="False", reason=LOST, message=text)
