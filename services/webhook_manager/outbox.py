"""Takes messages in: durable before it is said that they are taken, and no more than a receiver may have waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from crds.errors import Conflict, TooManyRequests
from services.sdk.group_commit import GroupCommitter
from services.sdk.resources import Clock
from services.webhook_manager import message_store as store
from services.webhook_manager.message import Draft, State
from services.webhook_manager.message_store import Taken

MOST_WAITING = 100_000
_RETRY_SECONDS = 60


class Outbox:
    """`wake`: hears of each receiver that has something new."""

    def __init__(self, committer: GroupCommitter, clock: Clock, wake: Callable[[str], None]) -> None:
        self._committer, self._clock, self._wake = committer, clock, wake
        self._at_most: dict[str, int] = {}
        """How many wait for a receiver at most: counted once, and again when that many would be too many."""

    async def put(self, drafts: Sequence[Draft], *, is_news: bool = True) -> list[Taken]:
        """In one transaction. `is_news=False`: another message of the same id is no fault, and the first one stays.

        Raises Conflict, TooManyRequests, and sqlite3.Error.
        """
        wanted = Counter(each.to for each in drafts)
        for receiver, number in wanted.items():
            await self._require_room(receiver, number)
        now = self._clock.now().timestamp()
        for receiver, number in wanted.items():
            self._at_most[receiver] = self._at_most.get(receiver, 0) + number
        taken = await self._committer.submit(lambda db: store.add(db, drafts, now, whole=is_news))
        if is_news and Taken.OTHER in taken:
            raise Conflict(f"another message has the id {drafts[taken.index(Taken.OTHER)].id} already")
        for receiver in wanted:
            self._wake(receiver)
        return taken

    def forget(self, receiver: str) -> None:
        self._at_most.pop(receiver, None)

    async def _require_room(self, receiver: str, number: int) -> None:
        """Raises TooManyRequests."""
        if self._at_most.get(receiver, MOST_WAITING) + number > MOST_WAITING:
            found = await self._committer.submit(lambda db: store.counts(db, receiver)[State.WAITING])
            self._at_most[receiver] = found
        if self._at_most[receiver] + number > MOST_WAITING:
            text = f"{MOST_WAITING} messages wait for it: none is taken until some are delivered"
            raise TooManyRequests(text, retry_after=_RETRY_SECONDS)
