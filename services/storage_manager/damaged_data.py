"""What is stored and not what was written: which blobs, of which objects. The scrubber and whoever reads note it.

The Bucket says it (`DataIntact`), and a metric says how many blobs there are. An entry goes when its blob is gone, or
can be read again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from crds.meta import Condition, set_condition
from services.storage_manager.conditions import BucketCondition, BucketReason
from services.storage_manager.kinds import Bucket

log = logging.getLogger(__name__)
MOST_NOTED, MOST_TOLD = 10_000, 5


class Damage(NamedTuple):
    """Of one blob. `bucket`: its id."""

    bucket: str
    key: str
    why: str


class DamagedData:
    """Damages by blob. Threads may share it."""

    def __init__(self, known: Mapping[str, Damage] = {}) -> None:
        self._lock, self._known = threading.Lock(), dict(known)

    def note(self, blob: str, damage: Damage) -> None:
        """It cannot be read. Logged once."""
        with self._lock:
            if blob in self._known or len(self._known) >= MOST_NOTED:
                return
            self._known[blob] = damage
        fields = {"blob": blob, "bucketId": damage.bucket, "key": damage.key}
        log.error("stored data is damaged: %s", damage.why, extra={"fields": fields})

    def clear(self, blob: str) -> None:
        """It is gone, or can be read again."""
        if blob in self._known:
            with self._lock:
                self._known.pop(blob, None)

    def all(self) -> dict[str, Damage]:
        """What is known now."""
        with self._lock:
            return dict(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def update_condition(self, bucket: Bucket, now: datetime) -> None:
        """Sets the condition `DataIntact`."""
        keys = sorted({each.key for each in self.all().values() if each.bucket == bucket.metadata.uid})
        set_condition(bucket.status.conditions, _condition(keys), now=now)


def _condition(keys: list[str]) -> Condition:
    kind = BucketCondition.DATA_INTACT
    if not keys:
        return Condition(type=kind, status="True", reason=BucketReason.NO_DAMAGE_FOUND)
    more = f" and {len(keys) - MOST_TOLD} more" if len(keys) > MOST_TOLD else ""
    text = f"what the disk holds of {', '.join(keys[:MOST_TOLD])}{more} is not what was written"
    return Condition(type=kind, status="False", reason=BucketReason.DATA_DAMAGED, message=text)
