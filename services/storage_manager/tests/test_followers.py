"""Whom a write waits for, and how long, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from services.storage_manager.replication import followers
from services.storage_manager.replication.followers import Followers

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def in_sync(time: Time, applied: int) -> Followers:
    known = Followers(time)
    known.note_heard("copy", applied, applied)
    return known


async def test_a_write_waits_no_longer_than_its_own_age_allows_whatever_bytes_flow() -> None:
    """A large blob is fetched block by block, before the changes that the write waits for are applied."""
    time = Time()
    known = in_sync(time, 7)
    waiting = known.reached(8)
    assert waiting is not None
    for _ in range(int(followers.STUCK_SECONDS)):
        time.now += 1.0
        known.note_heard("copy")
        known.expire()
        assert not waiting.done()
    time.now += 1.0
    known.note_heard("copy")
    known.expire()
    assert waiting.done() and not known.in_sync


async def test_only_those_that_keep_it_waiting_are_left() -> None:
    time = Time()
    known = in_sync(time, 7)
    known.note_heard("slow", 7, 7)
    waiting = known.reached(8)
    known.note_heard("copy", 8, 8)
    time.now += followers.STUCK_SECONDS + 1
    known.note_heard("copy")
    known.note_heard("slow")
    known.expire()
    assert waiting is not None and waiting.done()
    assert [each.name for each in known.in_sync] == ["copy"]


async def test_who_joins_has_what_was_acknowledged_since_the_head_was_read() -> None:
    known = Followers(Time())
    head = 7
    assert known.reached(8) is None  # acknowledged by one copy alone, while the answer was on its way
    known.note_heard("copy", 7, head)
    assert not known.in_sync
    known.note_heard("copy", 8, head)
    assert known.in_sync


async def test_a_commit_between_the_look_at_the_head_and_the_wait_wakes_up() -> None:
    known = Followers(Time())
    first, second = known.next_change(), known.next_change()
    known.reached(1)
    await asyncio.wait_for(first.wait(), 1)
    assert second.is_set() and not known.next_change().is_set()


async def test_the_dead_do_not_keep_the_log_for_ever() -> None:
    time = Time()
    known = in_sync(time, 7)
    time.now += followers.FORGOTTEN_SECONDS + 1
    known.note_heard("successor", 9, 9)
    assert known.applied() == 7
    known.expire()
    assert known.applied() == 9
