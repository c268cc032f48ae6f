"""Values that no version names: left behind by whoever was killed while a version was made. They go after an hour."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta

import anyio

from crds.errors import ApiError, NotFound
from services.sdk.context import ServiceContext
from services.secrets_manager.kinds import MANAGED_SECRET, SECRET_VERSION, SecretVersion

EVERY_SECONDS = 3600.0
KEPT_FOR = timedelta(hours=1)
log = logging.getLogger("secrets_manager")


class Sweeper:
    """Sweeps until cancelled."""

    def __init__(self, context: ServiceContext) -> None:
        self._own, self._clock = context.resources, context.clock

    async def run(self) -> None:
        while True:
            await anyio.sleep(EVERY_SECONDS)
            try:
                await self.once()
            except ApiError as error:
                log.info("values without a version are not swept now: %s", error.message)

    async def once(self) -> int:
        """Sweep once, and return the number. The values are read first: a version comes after its value."""
        values = (await self._own.list(SECRET_VERSION)).items
        secrets = (await self._own.list(MANAGED_SECRET)).items
        named = {(each.metadata.uid, version.version_id) for each in secrets for version in each.status.versions}
        left = [each for each in values if self._is_old(each) and _id(each) not in named]
        for each in left:
            with suppress(NotFound):
                await self._own.delete(
                    SECRET_VERSION, each.metadata.name, each.metadata.namespace, uid=each.metadata.uid
                )
        return len(left)

    def _is_old(self, value: SecretVersion) -> bool:
        made = value.metadata.creation_timestamp
        return made is not None and made + KEPT_FOR < self._clock.now()


def _id(value: SecretVersion) -> tuple[str, str]:
    return value.spec.secret_uid, value.spec.version_id
