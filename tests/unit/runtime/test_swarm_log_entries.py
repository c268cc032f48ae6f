"""Lines of a Swarm's copies, read on task by task: each once, whatever clocks of machines say, in few questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from controller.docker.client import DockerClient
from controller.runtime.driver import LogEntries
from controller.runtime.swarm import log_following
from controller.runtime.swarm.log_following import SwarmLogFollower, nanoseconds
from controller.runtime.swarm.logs import TASK
from controller.runtime.swarm.snapshot import SwarmSnapshot
from crds.kinds.service import SERVICE

KEY = SERVICE.key("web", "shop")
NS = 1_000_000_000


class FakeClock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Docker:
    """One service, its tasks, and what they wrote when by the clock of their machine; of those of `away` nothing."""

    clock: FakeClock
    slots: dict[str, int] = field(default_factory=lambda: {"t0": 0, "t1": 1})
    lines: list[tuple[float, str, str]] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def write(self, task: str, text: str, *, behind: float = 0.0) -> None:
        self.lines.append((self.clock.now().timestamp() - behind, task, text))

    async def ask(self, work: Any, *, extra_seconds: float = 0.0) -> Any:
        return work(self)

    def service_logs(self, service: str, **options: Any) -> list[bytes]:
        self.asked.append(options)
        there = [each for each in self.lines if each[0] >= options.get("since", 0) and each[1] not in self.away]
        last = [
            each for task in self.slots for each in [line for line in there if line[1] == task][-options["tail"] :]
        ]
        return [f"{written(at)} a=b,{TASK}{task} {text}\n".encode() for at, task, text in last]

    def tasks(self, _: Any = None) -> list[Any]:
        return [{"ID": task, "Slot": n, "NodeID": f"n-{task}", "CreatedAt": task} for task, n in self.slots.items()]


def written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


class Reader:
    """Reads copies on, from the position of the answer before."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.docker = Docker(self.clock)
        self.follower = SwarmLogFollower(cast(DockerClient, self.docker), self.clock)
        self.positions: dict[str, str] = {}

    def seen(self) -> SwarmSnapshot:
        state = {True: "down", False: "ready"}
        nodes = {f"n-{each}": {"Status": {"State": state[each in self.docker.away]}} for each in self.docker.slots}
        return SwarmSnapshot(tasks={KEY: self.docker.tasks()}, nodes=nodes)

    async def ask(self, copy: int = 0) -> LogEntries:
        name = f"shop.web-{copy}"
        found = await self.follower.entries_after("web", KEY, self.seen(), name, self.positions.get(name, ""))
        self.positions[name] = found.position
        return found

    async def read(self, copy: int = 0, after: float = 6.0) -> list[str]:
        self.clock.advance(after)
        return [text for _, text in (await self.ask(copy)).entries]


@pytest.mark.anyio
async def test_each_line_of_a_copy_comes_once() -> None:
    m = Reader()
    m.docker.write("t0", "one")
    m.docker.write("t1", "of the other")
    m.clock.advance(1)
    m.docker.write("t0", "two \u2028 three\x0b")
    assert await m.read() == ["one", "two \u2028 three\x0b"]
    assert "since" not in m.docker.asked[-1]
    assert await m.read() == []
    m.docker.write("t0", "four")
    assert await m.read() == ["four"]
    assert await m.read(after=3_600) == []
    assert await m.read() == []
    assert m.clock.now().timestamp() - m.docker.asked[-1]["since"] < 150
    with pytest.raises(ValueError, match="no position"):
        await m.follower.entries_after("web", KEY, m.seen(), "shop.web-0", "7.nonsense")


@pytest.mark.anyio
async def test_a_copy_that_starts_anew_where_the_clock_is_behind_loses_nothing() -> None:
    m = Reader()
    m.docker.write("t0", "one")
    assert await m.read() == ["one"]
    m.docker.slots["t9"] = 0
    m.docker.write("t0", "the last")
    m.docker.write("t9", "the first", behind=30)
    assert sorted(await m.read()) == ["the first", "the last"]
    m.docker.write("t9", "the second", behind=30)
    assert await m.read() == ["the second"]


@pytest.mark.anyio
async def test_what_a_machine_wrote_while_it_was_away_comes_when_it_is_back() -> None:
    m = Reader()
    m.docker.write("t0", "one")
    assert await m.read() == ["one"]
    m.docker.away.add("t0")
    for _ in range(20):
        m.docker.write("t0", "away")
        assert await m.read(after=60) == []
    m.docker.away.clear()
    assert await m.read() == ["away"] * 20
    assert await m.read() == []


@pytest.mark.anyio
async def test_copies_share_a_question_and_silent_ones_ask_for_little() -> None:
    m = Reader()
    m.docker.slots = {f"t{n}": n for n in range(10)}
    for look in range(3):
        m.docker.write("t3", f"look {look}")
        m.clock.advance(6)
        found = [[text for _, text in (await m.ask(copy)).entries] for copy in range(10)]
        assert found == [[f"look {look}"] if copy == 3 else [] for copy in range(10)]
        assert len(m.docker.asked) == look + 1
    assert all("since" in each for each in m.docker.asked[1:])
    before = dict(m.positions)
    await m.read(0)
    assert m.positions == before  # nothing to write down


@pytest.mark.anyio
async def test_lines_are_lost_only_where_docker_keeps_more_than_it_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_following, "MOST_ENTRIES", 10)
    m = Reader()
    for number in range(12):
        m.docker.write("t1", f"busy {number}")
    m.docker.write("t0", "one")
    assert not (await m.ask(0)).lost
    for number in range(9):
        m.clock.advance(0.1)
        m.docker.write("t0", f"more {number}")
    for number in range(50):
        m.docker.write("t1", f"busy {number}")
    m.clock.advance(6)
    found = await m.ask(0)
    assert (len(found.entries), found.lost) == (9, False)
    for number in range(11):
        m.clock.advance(0.1)
        m.docker.write("t0", f"again {number}")
    m.clock.advance(6)
    found = await m.ask(0)
    assert (len(found.entries), found.lost) == (10, True)
    m.clock.advance(6)
    assert not (await m.ask(0)).lost


def test_times_are_docker_s() -> None:
    assert nanoseconds("2026-01-02T03:04:05.000000001Z") == 1_767_323_045 * NS + 1
    assert nanoseconds("2026-01-02T03:04:05Z") == 1_767_323_045 * NS
