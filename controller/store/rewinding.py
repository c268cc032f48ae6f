"""A store put back to one of its own moments: by new records, so that nothing of its history is lost and no revision
is used twice. Whoever watched goes on watching, and the way back can be taken back.
"""

from __future__ import annotations

from typing import Any

from controller.store.memory_index import EVERY_KIND
from controller.store.records import Change, Record, Store

_AT_ONCE = 200


async def rewind(store: Store, revision: int, *, by: str) -> int:
    """Everything is as it was at that revision. How many resources were changed, made or taken away again.

    Raises Compacted for a revision that is no longer kept.
    """
    then = {each.key: each for each in (await store.list_at(*EVERY_KIND, None, revision)).records}
    now = {each.key: each for each in (await store.list_at(*EVERY_KIND, None, store.revision)).records}
    changes = [Change(key, None, record.revision) for key, record in now.items() if key not in then]
    for key, record in then.items():
        head = now.get(key)
        if head is not None and head.uid != record.uid:  # another one of that name: it goes, and this one comes
            changes += [Change(key, None, head.revision), Change(key, record.object, 0)]
        elif head is None or _state(head) != _state(record):
            changes.append(Change(key, record.object, 0 if head is None else head.revision))
    # In their order: who goes and who comes under one name are two changes in a row, in one write or in two.
    for start in range(0, len(changes), _AT_ONCE):
        await store.write(changes[start : start + _AT_ONCE], by=by)
    return len(changes)


def _state(record: Record) -> dict[str, Any]:
    """What a resource is, without the revision that says so."""
    meta = {name: value for name, value in record.object["metadata"].items() if name != "resourceVersion"}
    return {**record.object, "metadata": meta}
