"""Whether the root key is the one that the stored material is sealed under. With another one the service is degraded
and says so: who has given up what was sealed before (docs/operations/lost-keys.md) makes new keys under this one.
"""

from __future__ import annotations

from itertools import islice

from services.key_manager.keyring import Keyring

_SAMPLE = 16


class RootKeyCheck:
    """Proven by the first material that opens: one that is damaged says nothing of the key."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring, self._proven = keyring, False

    def fault(self) -> str | None:
        """Why nothing of before opens, or None."""
        if self._proven:
            return None
        faults = [self._keyring.sealing_fault(each) for each in islice(self._keyring.materials.all(), _SAMPLE)]
        if not faults:
            return None
        self._proven = None in faults
        return None if self._proven else f"none of {len(faults)} key materials opens with this root key: {faults[0]}"
