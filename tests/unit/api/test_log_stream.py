"""Following logs: every line once, in order, whatever else is written and however often the same line comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.log_stream import MOST_LINES, after, log_lines, previous_lines, search
from controller.kit.virtual import VirtualLoop
from controller.runtime.driver import Driver, ObservedInstance
from crds.errors import BadRequest, NotFound
from crds.kinds.service import SERVICE

KEY = SERVICE.key("web", "default")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


class Written:
    """The two questions following asks of a driver."""

    def __init__(self, **lines: list[str]) -> None:
        self.lines = lines

    async def observe(self, key: Any) -> Sequence[ObservedInstance]:
        return [ObservedInstance(name, "Running", True, "1") for name in self.lines]

    async def logs(self, key: Any, instance: str | None, *, tail: int) -> Sequence[str]:
        names = [instance] if instance else list(self.lines)
        return [line for name in names for line in (self.lines[name][-tail:] if tail else [])]


def following(written: Written, instance: str | None = None, tail: int = 10) -> AsyncIterator[str]:
    return log_lines(cast(Driver, written), KEY, instance, tail, follow=True)


async def told(lines: AsyncIterator[str]) -> list[str]:
    """What comes within a second; the wait for it loses nothing, the iterator ends with it."""
    with anyio.fail_after(60):
        return (await lines.__anext__()).splitlines()


@pytest.mark.anyio
async def test_without_following_there_is_an_end() -> None:
    written = Written(a=["1", "2"], b=["3"])
    assert [text async for text in log_lines(cast(Driver, written), KEY, None, 1, follow=False)] == ["2\n3\n"]


@pytest.mark.anyio
async def test_instances_do_not_disturb_each_other() -> None:
    written = Written(a=["a1"], b=["b1"])
    lines = following(written)
    assert await told(lines) == ["a1", "b1"]
    for n in range(2, 5):
        written.lines["a"].append(f"a{n}")
        assert await told(lines) == [f"a{n}"]
    written.lines["b"].append("b2")
    written.lines["c"] = ["c1"]
    assert await told(lines) == ["b2", "c1"]


@pytest.mark.anyio
async def test_the_same_line_again_is_a_new_line() -> None:
    written = Written(a=["tick"] * 5)
    lines = following(written, "a", tail=2)
    assert await told(lines) == ["tick"] * 2
    written.lines["a"] += ["tick"] * 3
    assert await told(lines) == ["tick"] * 3


@pytest.mark.anyio
async def test_a_window_that_moves_loses_nothing() -> None:
    written = Written(a=[str(n) for n in range(3000)])
    lines = following(written)
    assert await told(lines) == [str(n) for n in range(2990, 3000)]
    for begin in range(3000, 5000, 500):
        written.lines["a"] += [str(n) for n in range(begin, begin + 500)]
        assert await told(lines) == [str(n) for n in range(begin, begin + 500)]


@pytest.mark.anyio
async def test_who_wants_only_what_is_new_gets_only_that() -> None:
    written = Written(a=["old"])
    lines = following(written, tail=0)
    assert await told(lines) == []
    written.lines["a"].append("new")
    assert await told(lines) == ["new"]


def test_a_half_written_line_comes_again_whole() -> None:
    assert after(["one", "tw"], ["one", "two", "three"]) == ["two", "three"]
    assert after(["o"], ["one"]) == ["one"]


@given(st.lists(st.sampled_from("ab"), max_size=8), st.lists(st.sampled_from("ab"), max_size=8))
def test_while_the_window_does_not_move_exactly_the_new_lines_come(old: list[str], new: list[str]) -> None:
    assert after(old, old + new) == new


@pytest.mark.anyio
async def test_a_search_tells_the_lines_and_how_far_it_reached() -> None:
    lines = ["no time", '{"event": "Boom", "timestamp": "2026-11-28T10:00:01Z"}', "a BOOM", "else"]
    found, reach = await search(cast(Driver, Written(a=lines)), KEY, None, "boom")
    assert found == lines[1:3]
    assert reach == {"x-aerekos-searched-lines": "4", "x-aerekos-searched-since": "2026-11-28T10:00:01Z"}


@pytest.mark.anyio
async def test_a_search_of_nothing_reaches_nowhere_and_never_past_its_limit() -> None:
    assert await search(cast(Driver, Written()), KEY, None, "x") == ([], {"x-aerekos-searched-lines": "0"})
    many = Written(a=["x"] * (MOST_LINES + 5))
    assert len((await search(cast(Driver, many), KEY, "a", "X"))[0]) == MOST_LINES


class Restarted(Written):
    """Its instances were started at noon."""

    async def observe(self, key: Any) -> Sequence[ObservedInstance]:
        noon = datetime(2026, 1, 1, 12, 0, 0, 500_000, UTC)
        return [ObservedInstance(name, "Running", True, "1", started_at=noon) for name in self.lines]


@pytest.mark.anyio
async def test_what_an_instance_wrote_before_its_last_start() -> None:
    old = ["2026-01-01T12:00:00.4Z broke", "  in a line without a time"]
    driver = Restarted(web=[*old, "2026-01-01T12:00:00.6Z begins", "2026-01-01T11:00:00Z has a wrong clock"])
    assert await previous_lines(cast(Driver, driver), KEY, None) == old
    assert await previous_lines(cast(Driver, driver), KEY, "web") == old
    with pytest.raises(BadRequest, match="web has web"):
        await previous_lines(cast(Driver, driver), KEY, "other")
    with pytest.raises(BadRequest, match="say of which"):
        await previous_lines(cast(Driver, Restarted(a=[], b=[])), KEY, None)
    with pytest.raises(NotFound):
        await previous_lines(cast(Driver, Restarted(web=["2026-01-01T12:00:01Z begins"])), KEY, None)
