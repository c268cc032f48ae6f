"""All key material under the newest root key: what an older one sealed is sealed again, in the background.

One conditional write for each, so whoever is killed in between leaves every one whole, under the old key or the new;
whoever comes next goes on. An older root key is forgotten only by who asked for it (`aerekos keys rotate --what root
--drop-old`), and never while something is sealed under it.
"""

from __future__ import annotations

import asyncio
import logging

from crds.errors import ApiError
from services.key_manager.keyring import Keyring
from services.key_manager.root_key import Unsealable

log = logging.getLogger("key_manager")
RESEAL_EVERY_SECONDS = 10.0


class Resealer:
    """Reseals until cancelled: an instance that is about to go may still leave something behind."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._told: set[str] = set()

    async def run(self) -> None:
        while True:
            if self._keyring.materials.listed:
                await self.once()
            await asyncio.sleep(RESEAL_EVERY_SECONDS)

    async def once(self) -> int:
        """Reseal once, and return the number. What does not open is logged once and left as it is."""
        done = 0
        for each in self._keyring.materials.all():
            try:
                done += await self._keyring.reseal(each)
            except (Unsealable, ValueError) as broken:
                self._log_once(each.metadata.name, str(broken))
            except (ApiError, OSError) as refused:  # somebody else was first, or the conductor is away
                log.debug("not sealed again yet: %s", refused)
        if done:
            log.info("sealed %d key materials under the newest root key", done)
        return done

    def _log_once(self, name: str, because: str) -> None:
        if name not in self._told:
            self._told.add(name)
            log.error("key material %s cannot be sealed again: %s", name, because)
