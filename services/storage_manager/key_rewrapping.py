"""Rewrapping: data keys are wrapped anew under their KMS key once a month, so that a rotation of it reaches them all.

KMS does it without showing the key (ReEncrypt), and no object is written again. Under the account's default key the
service does it in its own name, bucket after bucket; under a customer's, in the name of whoever opens the data key
next. Whoever may not do that hinders nobody: the old wrapping goes on working, and the next one is asked.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from anyio import to_thread

from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef, Kms, is_customers_key
from services.storage_manager.metadata import MetadataIndex

log = logging.getLogger(__name__)
REWRAP_SECONDS = 30 * 24 * 3600.0
CHECK_SECONDS = 3600.0
_AT_ONCE, _MOST_REMEMBERED = 50, 4096


class KeyRewrapper:
    """`clock`: seconds since 1970."""

    def __init__(self, metadata: MetadataIndex, kms: Kms, clock: Callable[[], float] = time.time) -> None:
        self._metadata, self._kms, self._clock = metadata, kms, clock
        self._tried: dict[str, float] = {}

    async def rewrap_bucket(self, ref: BucketRef) -> int:
        """Those of the bucket that are due under the default key, some at a time. How many were."""
        if not self._may_try(f"bucket {ref.id}"):
            return 0
        before, done = self._clock() - REWRAP_SECONDS, 0
        for id, master in await to_thread.run_sync(self._metadata.keys_wrapped_before, ref.id, before, _AT_ONCE):
            if not is_customers_key(master):
                done += await self._rewrap(ref, id)
        return done

    async def rewrap_opened(self, ref: BucketRef, id: str) -> None:
        """The data key that a caller has just opened under a customer's key, if it is due."""
        if ref.caller is not None and self._may_try(f"key {id}"):
            await self._rewrap(ref, id)

    def _may_try(self, what: str) -> bool:
        now = self._clock()
        if now - self._tried.get(what, -CHECK_SECONDS) < CHECK_SECONDS:
            return False
        if len(self._tried) >= _MOST_REMEMBERED:
            self._tried.clear()
        self._tried[what] = now
        return True

    async def _rewrap(self, ref: BucketRef, id: str) -> bool:
        """Whether it was. One that is not due is left alone."""
        found = await to_thread.run_sync(self._metadata.wrapping, id)
        now = self._clock()
        if found is None or found.at > now - REWRAP_SECONDS:
            return False
        try:
            wrapped = await self._kms.rewrap(ref.under(found.master), found.wrapped, found.arn)
        except S3Error as why:
            log.info("data key %s keeps its wrapping: %s", id, why)
            return False
        await to_thread.run_sync(self._metadata.replace_wrapping, id, found.wrapped, wrapped, now)
        return True
