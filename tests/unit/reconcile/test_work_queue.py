"""The work queue keeps its promises, in chosen stories and in random ones."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.kit.virtual import VirtualLoop
from controller.reconcile.work_queue import WorkQueue

pytestmark = pytest.mark.anyio


async def test_what_is_added_in_work_comes_once_more_afterwards() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    with anyio.move_on_after(5) as none_left:
        await queue.get()
    assert none_left.cancelled_caught
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_delay_ends_exactly() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 0.3)
    queue.add_after("b", 0.1)
    assert await queue.get() == "b"
    assert anyio.current_time() == 0.1
    assert await queue.get() == "a"
    assert anyio.current_time() == 0.3


async def test_an_addition_cancels_the_delay_and_the_newest_delay_wins() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 5)
    queue.add_after("a", 9)
    queue.add_after("b", 5)
    queue.add("b")
    assert await queue.get() == "b"
    queue.done("b")
    assert await queue.get() == "a"
    assert anyio.current_time() == 9


async def test_a_cancelled_worker_takes_no_key_along() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await queue.get()
    assert await queue.get() == "a"


async def test_replaced_delays_do_not_pile_up() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for seconds in range(10_000):
        queue.add_after("a", seconds)
    assert len(queue) == 1
    assert len(queue._heap) < 200


class Model:
    """The promises, written as plainly as possible."""

    def __init__(self) -> None:
        self.ready: list[str] = []
        self.working: set[str] = set()
        self.again: set[str] = set()
        self.due: dict[str, tuple[float, int]] = {}
        self.order = 0

    def add(self, key: str) -> None:
        self.due.pop(key, None)
        if key in self.working:
            self.again.add(key)
        elif key not in self.ready:
            self.ready.append(key)

    def add_after(self, key: str, at: float) -> None:
        self.order += 1
        if key not in self.ready and key not in self.again:
            self.due[key] = (at, self.order)

    def take(self, now: float) -> str | None:
        for key in sorted(self.due, key=self.due.__getitem__):
            if self.due[key][0] <= now:
                self.add(key)
        if not self.ready:
            return None
        self.working.add(self.ready[0])
        return self.ready.pop(0)

    def done(self, key: str) -> None:
        self.working.remove(key)
        if key in self.again:
            self.again.remove(key)
            self.ready.append(key)


_KEYS = st.sampled_from("abc")
_STEPS = st.one_of(
    st.tuples(st.just("add"), _KEYS),
    st.tuples(st.just("after"), _KEYS, st.integers(0, 5)),
    st.tuples(st.just("take")),
    st.tuples(st.just("done"), _KEYS),
    st.tuples(st.just("sleep"), st.integers(1, 4)),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(_STEPS, max_size=40))
def test_any_story_ends_as_the_model_says(story: list[tuple[str, ...]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_play(story))


async def _play(story: list[tuple[str, ...]]) -> None:
    queue: WorkQueue[str] = WorkQueue()
    model = Model()
    for step in story:
        match step:
            case ("add", key):
                queue.add(key)
                model.add(key)
            case ("after", key, seconds):
                queue.add_after(key, float(seconds))
                model.add_after(key, anyio.current_time() + float(seconds))
            case ("sleep", seconds):
                await anyio.sleep(float(seconds))
            case ("done", key) if key in model.working:
                queue.done(key)
                model.done(key)
            case ("take",):
                assert await _taken(queue) == model.take(anyio.current_time())


async def _taken(queue: WorkQueue[str]) -> str | None:
    got: list[str] = []

    async def get() -> None:
        got.append(await queue.get())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(get)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    return got[0] if got else None
