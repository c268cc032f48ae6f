"""Which members do not follow any more, though the primary takes writes: what they have of the log is beyond where it
parted from the primary's, or what they need next is not kept any more. Only a new copy helps. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.db_manager.members.failover import Look

STANDSTILL_SECONDS = 300.0
"""A member whose log has not grown for so long, without a connection to the primary, does not follow any more. One
that starts again reads its own log first, which then grows."""
COPIED_AGAIN_AFTER = timedelta(days=1)
"""What a copy does not help is not copied again sooner: what was there before lies in the trash."""


class Standstill:
    """What is remembered of the members of one Database."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[int, float, bool]] = {}

    def note(self, primary: str, looks: Mapping[str, Look], now: float) -> tuple[str, ...]:
        """Those that have stood still for long enough. `now`: monotonic, in seconds."""
        there = {each: look for each, look in looks.items() if each != primary and look.in_recovery}
        if not looks.get(primary, Look()).takes_writes:
            there = {}
        before, self._since = self._since, {}
        for name, look in there.items():
            lsn, since, streamed = before.get(name, (look.lsn, now, True))
            # Whoever is refused seems to stream for a moment each time it tries.
            if not (look.streaming and streamed):
                self._since[name] = (look.lsn, since if lsn == look.lsn else now, look.streaming)
        return tuple(sorted(each for each, (_, since, _) in self._since.items() if now - since >= STANDSTILL_SECONDS))


def may_be_copied(copied_at: datetime | None, now: datetime) -> bool:
    """`copied_at`: when it was copied anew last."""
    return copied_at is None or now - copied_at >= COPIED_AGAIN_AFTER
