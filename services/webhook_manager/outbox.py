"""Takes messages in: durable before it is said that they are taken, and no more than there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crds.errors import Conflict
from services.sdk.group_commit import GroupCommitter
from services.sdk.resources import Clock
from services.webhook_manager import message_store as store
from services.webhook_manager.message import Draft
from services.webhook_manager.message_store import Taken
from services.webhook_manager.room import Room


class Outbox:
    """`wake`: hears of each receiver that has something new."""

    def __init__(self, committer: GroupCommitter, room: Room, clock: Clock, wake: Callable[[str], None]) -> None:
        self._committer, self._room, self._clock, self._wake = committer, room, clock, wake

    async def put(self, drafts: Sequence[Draft], *, is_news: bool = True) -> list[Taken]:
        """In one transaction. `is_news=False`: another message of the same id is no fault, and the first one stays.

        Raises Conflict, TooManyRequests, Unavailable, and sqlite3.Error.
        """
        await self._room.take(drafts)
        now = self._clock.now().timestamp()
        taken = await self._committer.submit(lambda db: store.add(db, drafts, now, whole=is_news))
        if is_news and Taken.OTHER in taken:
            raise Conflict(f"another message has the id {drafts[taken.index(Taken.OTHER)].id} already")
        for receiver in dict.fromkeys(each.to for each in drafts):
            self._wake(receiver)
        return taken
