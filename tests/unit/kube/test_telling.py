"""Watchers told together: who leads, who is sent away, and where each stands then. Time is virtual."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from api.kube.broadcast import BOOKMARK_SECONDS, Subscriber, WatchBroadcaster
from controller.store.followers import PAGE
from controller.store.records import SeekableFollower, Store, StoreEvent
from tests.unit.kube.conftest import Wire

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"
PAUSE = 1.0


class Reader:
    """A watcher and its client in one: what was written to it, word by word."""

    def __init__(self, *, alike: Hashable = "all", slow: bool = False, broken: bool = False) -> None:
        self.alike, self.slow, self.broken = alike, slow, broken
        self.got: list[str] = []
        self.member = Subscriber(self, self.write, True, 0)
        self.away = anyio.Event()
        self.scope = anyio.CancelScope()

    def lines(self, batch: Sequence[StoreEvent]) -> bytes:
        if self.broken:
            raise RuntimeError("no such column")
        return b"".join(b"%s " % happening.record.key.name.encode() for happening in batch)

    def bookmark(self, revision: int) -> bytes:
        return b"mark-%d " % revision

    def write(self, part: bytes) -> bool:
        if not self.slow:
            self.got += part.decode().split()
        return not self.slow


class Hall:
    """A crowd, and who is in it."""

    def __init__(self, wire: Wire, tasks: anyio.abc.TaskGroup) -> None:
        self.wire, self.crowd, self._tasks = wire, WatchBroadcaster(lambda: PAUSE), tasks

    @property
    def store(self) -> Store:
        return self.wire.registry.store

    async def enter(self, *readers: Reader) -> None:
        for reader in readers:
            await self._tasks.start(self._stay, reader)
            await anyio.lowlevel.checkpoint()

    async def change(self, *names: str) -> None:
        for name in names:
            await self.wire.ok("POST", MAPS, {"metadata": {"name": name}})

    async def _stay(self, reader: Reader, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with reader.scope:
            async with self.store.follow("", "configmaps", after=self.store.revision) as follower:
                assert isinstance(follower, SeekableFollower)
                reader.member.told = follower.position
                task_status.started()
                await self.crowd.stay(reader.member, follower)
        reader.away.set()


@asynccontextmanager
async def hall(wire: Wire) -> AsyncIterator[Hall]:
    async with anyio.create_task_group() as tasks:
        yield Hall(wire, tasks)
        tasks.cancel_scope.cancel()


async def test_all_are_told_by_the_first_and_one_line_is_made_for_those_alike(wire: Wire) -> None:
    made: list[str] = []

    class Counting(Reader):
        def lines(self, batch: Sequence[StoreEvent]) -> bytes:
            made.append(str(self.alike))
            return super().lines(batch)

    readers = [Counting(alike="all"), Counting(alike="all"), Counting(alike=None), Counting(alike=None)]
    async with hall(wire) as here:
        await here.enter(*readers)
        await here.change("a")
        await anyio.sleep(PAUSE / 2)
        assert [each.got for each in readers] == [["a"]] * 4
        assert made == ["all", "None", "None"]
        await here.change("b", "c")
        await anyio.sleep(PAUSE)
        assert [each.got for each in readers] == [["a", "b", "c"]] * 4


@pytest.mark.parametrize("meanwhile", [1, PAGE + 1], ids=["one", "more than a round"])
async def test_who_came_between_two_rounds_is_told_nothing_twice_even_when_it_leads(
    wire: Wire, meanwhile: int
) -> None:
    first, second, late = Reader(), Reader(), Reader()
    async with hall(wire) as here:
        await here.enter(first, second)
        await here.change("a")
        await anyio.sleep(PAUSE / 2)
        missed = [f"b-{number}" for number in range(meanwhile)]
        await here.change(*missed)  # while the first pauses
        await here.enter(late)
        for leader in (first, second):
            leader.scope.cancel()
            await leader.away.wait()
            await anyio.sleep(PAUSE / 2)
        await here.change("c")
        await anyio.sleep(3 * PAUSE)
        assert first.got == ["a"]
        assert second.got == ["a", *missed[:PAGE]]  # a round, and then it left too
        assert late.got == ["c"]


async def test_a_slow_leader_goes_and_stands_where_it_was_while_the_next_goes_on(wire: Wire) -> None:
    slow, other = Reader(), Reader()
    async with hall(wire) as here:
        await here.enter(slow, other)
        await here.change("a")
        await anyio.sleep(2 * PAUSE)
        before, slow.slow = here.store.revision, True
        await here.change("b")
        await slow.away.wait()
        await here.change("c")
        await anyio.sleep(2 * PAUSE)
        assert (slow.got, other.got) == (["a"], ["a", "b", "c"])
        assert slow.member.told == before
        assert len(here.crowd) == 1


async def test_one_that_cannot_be_told_goes_alone(wire: Wire) -> None:
    fine, broken = Reader(), Reader(alike=None, broken=True)
    async with hall(wire) as here:
        await here.enter(fine, broken)
        await here.change("a")
        with anyio.fail_after(1):
            await broken.away.wait()
        await here.change("b")
        await anyio.sleep(2 * PAUSE)
        assert (fine.got, broken.got) == (["a", "b"], [])


async def test_who_heard_nothing_gets_a_mark_and_all_stand_there(wire: Wire) -> None:
    """Or who is sent away after a quiet day would stand where compaction has been."""
    reader, deaf = Reader(), Reader(alike=None)
    deaf.lines = lambda batch: b""  # type: ignore[method-assign] - its selector hides everything
    async with hall(wire) as here:
        await here.enter(reader, deaf)
        await here.change("a")
        await wire.ok("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "elsewhere"}})
        await anyio.sleep(BOOKMARK_SECONDS + 1)
        newest = here.store.revision
        assert (reader.got, deaf.got) == (["a"], [f"mark-{newest}"])
        assert reader.member.told == deaf.member.told == newest
        await anyio.sleep(BOOKMARK_SECONDS)
        assert reader.got == ["a", f"mark-{newest}"]


async def test_when_the_last_has_gone_the_next_leads(wire: Wire) -> None:
    first, second = Reader(), Reader()
    async with hall(wire) as here:
        await here.enter(first)
        first.scope.cancel()
        await first.away.wait()
        assert len(here.crowd) == 0
        await here.enter(second)
        await here.change("a")
        await anyio.sleep(PAUSE)
        assert (first.got, second.got) == ([], ["a"])
