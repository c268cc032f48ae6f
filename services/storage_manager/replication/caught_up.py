"""Whether a copy had every acknowledged write when it last knew: only then it is read from. An empty file says so, so
that a copy that starts while the one it follows is away knows it too.
"""

from __future__ import annotations

from pathlib import Path

from services.storage_manager.segments import sync_folder


class CaughtUp:
    """Kept at `path`."""

    def __init__(self, path: Path) -> None:
        self._path, self._known = path, path.exists()

    def __bool__(self) -> bool:
        return self._known

    def note(self, has_all: bool) -> None:
        """Durable when it changes. Blocking. Raises OSError."""
        if has_all == self._known:
            return
        self._known = False
        if has_all:
            self._path.touch(mode=0o600)
        else:
            self._path.unlink(missing_ok=True)
        sync_folder(self._path.parent)
        self._known = has_all
