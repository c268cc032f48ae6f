"""A namespace made anew is another one: what was in one of the same name before is none of its people's business.

Without this, whoever gets the name of a deleted namespace could read the Secrets of before out of the kept history.
Who may read all namespaces reads without naming one, and all of history.
"""

from __future__ import annotations

from controller.store.records import Compacted, Record, Store
from crds.kinds.namespace import NAMESPACE


class Tenancy:
    """Remembers the revision each living namespace was made at."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made: dict[str, tuple[str, int]] = {}

    async def refuse_before(self, namespace: str | None, revision: int) -> None:
        """Raises Compacted for a time before that namespace was made."""
        room = self._store.get(NAMESPACE.key(namespace)) if namespace else None
        if room is None or room.revision <= revision:
            return
        if revision < (began := await self._began(room)):
            raise Compacted(revision, began)

    async def began(self, namespace: str | None) -> int:
        """The revision that namespace was made at; 0 for none, and for one that is not there."""
        room = self._store.get(NAMESPACE.key(namespace)) if namespace else None
        return await self._began(room) if room is not None else 0

    async def _began(self, room: Record) -> int:
        known = self._made.get(room.key.name)
        if known is None or known[0] != room.uid:
            kept = await self._store.history(room.key)
            began = next((each.revision for each in kept if each.uid == room.uid), room.revision)
            known = self._made[room.key.name] = (room.uid, began)
        return known[1]
