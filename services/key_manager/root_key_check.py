"""Whether the root key is the one that the stored material is sealed under. With another one the instance is not
ready, and says so; the conductor refuses to start with it. Where all of before was given up
(docs/operations/lost-keys.md), it is degraded, and new keys work.
"""

from __future__ import annotations

from services.key_manager.keyring import Keyring
from services.key_manager.kinds import KeyMaterial


class RootKeyCheck:
    """Proven by the first material that opens: one that is damaged says nothing of the key."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring, self._proven = keyring, False
        self._faults: dict[tuple[str, str, str], str] = {}  # by name and version: each is tried once

    def fault(self) -> str | None:
        """Why this is another root key, or None."""
        held = [each for each in self._unopened() if not self._keyring.gave_up(each)]
        return self._said(held[0], "opens with this root key") if held else None

    def loss(self) -> str | None:
        """Say that all there is was given up, or None."""
        unopened = self._unopened()
        given_up = unopened and all(self._keyring.gave_up(each) for each in unopened)
        return self._said(unopened[0], "opens: those of before were given up") if given_up else None

    def _unopened(self) -> list[KeyMaterial]:
        """All there is, or nothing where any opens."""
        if self._proven:
            return []
        before, self._faults, found = self._faults, {}, list(self._keyring.materials.all())
        for each in found:
            fault = before.get(_at(each)) or self._keyring.sealing_fault(each)
            if fault is None:
                self._proven = True
                return []
            self._faults[_at(each)] = fault
        return found

    def _said(self, first: KeyMaterial, what: str) -> str:
        return f"none of {len(self._faults)} key materials {what}: {self._faults[_at(first)]}"


def _at(material: KeyMaterial) -> tuple[str, str, str]:
    metadata = material.metadata
    return metadata.namespace or "", metadata.name, metadata.resource_version or ""
