"""Machines that move, in a world of our own: exact times from a move until every kernel translates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from agent.addressing import AddressTracker
from agent.addressing.address_tracker import CUT_SECONDS, LATER_SECONDS, POLL_SECONDS, SOON_SECONDS, SOON_TIMES
from agent.addressing.nat_applier import RESCAN_SECONDS, RETRY_SECONDS
from agent.addressing.nat_rules import NatRules
from agent.addressing.netfilter import NetfilterError
from controller.kit.clock import LoopClock
from controller.kit.threads import Inline

pytestmark = pytest.mark.anyio


def network(address: str) -> str:
    return str(ip_network(f"{address}/24", strict=False).broadcast_address)


@dataclass
class World:
    """Where everybody is, and which packets are on their way. Networks of /24; whoever is `cut` hears nobody."""

    clock: LoopClock
    machines: dict[str, Machine] = field(default_factory=dict)
    sent: list[tuple[float, str, str]] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)
    broadcasting: bool = True

    def deliver(self, sender: Machine, packet: bytes, to: str) -> None:
        self.sent.append((round(self.clock.elapsed, 3), sender.name, to))
        for each in self.machines.values():
            if each is sender or not each.address or {each.name, sender.name} & self.cut:
                continue
            shouted = self.broadcasting and to == network(each.address) == network(sender.address)
            if each.address == to or shouted:
                each.inbox.send_nowait(packet)

    def machine(self, home: Path, number: int) -> Machine:
        name = f"node-{number}"
        made = Machine(self, name, f"10.0.0.{number}", home / name)
        self.machines[name] = made
        return made

    def introduce(self) -> None:
        """As the conductor does with its answers."""
        listed = [{"worker": each.name, **each.moving.heartbeat_fields()} for each in self.machines.values()]
        for each in self.machines.values():
            each.moving.update_peers(listed)


class Machine:
    """Its sockets, its kernel and its interfaces are ours; the AddressTracker is the real one."""

    def __init__(self, world: World, name: str, address: str, home: Path) -> None:
        self.world, self.name, self.address, self.home = world, name, address, home
        self.identity = address
        self.begin()

    def begin(self) -> None:
        """Its agent starts: what it knows is what lies in its home."""
        self.inbox, self._arrived = anyio.create_memory_object_stream[bytes](1000)
        self.kernel = FakeKernel(self.world.clock)
        self.moving = AddressTracker(
            self.home,
            self.name,
            self.identity,
            self.world.clock,
            kernel=self.kernel,
            threads=Inline(),
            interfaces=lambda: self,
            transport=lambda port: self,
        )

    # What AddressTracker sees of the world

    def current(self, identity: str, towards: Iterable[str]) -> str | None:
        return self.address or None

    def broadcasts(self) -> set[str]:
        return {network(self.address)} if self.address else set()

    async def wait_for_change(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    def send(self, packet: bytes, address: str) -> None:
        if self.address:
            self.world.deliver(self, packet, address)

    async def receive(self) -> bytes:
        return await self._arrived.receive()

    def close(self) -> None:
        return None


class FakeKernel:
    """Remembers what was asked of it, and when."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock, self.refuses = clock, ""
        self.asked: list[tuple[float, NatRules]] = []
        self.stands = self.believed = NatRules()

    def apply(self, wanted: NatRules, *, look: bool) -> int:
        self.asked.append((round(self._clock.elapsed, 3), wanted))
        if self.refuses:
            raise NetfilterError(self.refuses)
        before, self.stands = (self.stands if look else self.believed), wanted
        self.believed = wanted
        return int(before != wanted)

    def reaches(self, machine: Machine) -> bool:
        """Whether packets for its identity go where it is, and what comes from there is taken for it."""
        if machine.identity == machine.address:
            return not any(machine.identity in rule for rule in self.stands.rules)
        out = f"-A AEREKOS-OUT -d {machine.identity}/32 -j DNAT --to-destination {machine.address}"
        in_ = f"-A AEREKOS-IN -s {machine.address}/32 -j SNAT --to-source {machine.identity}"
        return out in self.stands.rules and in_ in self.stands.rules

    def times(self, since: float = 0.0) -> list[float]:
        return [when for when, _ in self.asked if when >= since]


@pytest.fixture
async def world() -> World:
    return World(LoopClock())


@asynccontextmanager
async def running(world: World, *machines: Machine) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        for each in machines or world.machines.values():
            tasks.start_soon(each.moving.run)
        await anyio.sleep(0.1)
        yield
        tasks.cancel_scope.cancel()


def all_reach_all(world: World) -> bool:
    machines = [each for each in world.machines.values() if each.name not in world.cut]
    return all(a.kernel.reaches(b) for a in machines for b in machines if a is not b)


async def until(world: World, holds: Callable[[], bool], seconds: float) -> float:
    """Seconds until it holds, to the millisecond."""
    began = world.clock.elapsed
    while not holds():
        assert world.clock.elapsed - began < seconds, "not in time"
        await anyio.sleep(0.001)
    return round(world.clock.elapsed - began, 3)


async def three(world: World, home: Path) -> list[Machine]:
    made = [world.machine(home, number) for number in (1, 2, 3)]
    world.introduce()
    return made


async def test_one_that_moved_is_reached_as_soon_as_it_has_looked(world: World, tmp_path: Path) -> None:
    oak, *_ = await three(world, tmp_path)
    async with running(world):
        assert all_reach_all(world) and world.sent == [], "who has never moved has nothing to say"
        oak.address = "10.0.0.91"
        assert await until(world, lambda: all_reach_all(world), 5) <= POLL_SECONDS
        assert oak.kernel.stands.loopback == ("10.0.0.1",)
        oak.address = "10.0.0.1"
        assert await until(world, lambda: all_reach_all(world), 5) <= POLL_SECONDS
        await anyio.sleep(CUT_SECONDS + POLL_SECONDS)
        assert all(each.kernel.stands == NatRules() for each in world.machines.values()), "and nothing is left"


@pytest.mark.parametrize("numbers", [(0, 1), (0, 1, 2)], ids=["two", "all"])
async def test_several_at_once_on_one_network_hear_of_each_other_by_broadcast(
    world: World, tmp_path: Path, numbers: tuple[int, ...]
) -> None:
    machines = await three(world, tmp_path)
    async with running(world):
        for number in numbers:
            machines[number].address = f"10.0.0.{number + 91}"
        assert await until(world, lambda: all_reach_all(world), 5) <= POLL_SECONDS


async def test_two_at_once_without_a_common_network_hear_of_each_other_by_a_third(
    world: World, tmp_path: Path
) -> None:
    world.broadcasting = False
    one, two, _ = await three(world, tmp_path)
    async with running(world):
        one.address, two.address = "10.1.0.1", "10.2.0.2"
        assert await until(world, lambda: all_reach_all(world), 5) <= POLL_SECONDS


async def test_who_was_away_during_the_move_hears_a_reminder(world: World, tmp_path: Path) -> None:
    one, _, three_ = await three(world, tmp_path)
    async with running(world):
        world.cut = {three_.name}
        one.address = "10.0.0.91"
        await anyio.sleep(60)
        world.cut = set()
        assert await until(world, lambda: all_reach_all(world), 10) <= LATER_SECONDS


async def test_it_is_said_often_at_first_and_then_as_a_reminder(world: World, tmp_path: Path) -> None:
    one, two, _ = await three(world, tmp_path)
    async with running(world):
        one.address = "10.0.0.91"
        await anyio.sleep(30)
    times = [when for when, sender, to in world.sent if (sender, to) == (one.name, two.address)]
    gaps = [round(later - earlier, 3) for earlier, later in pairwise(times)]
    soon = SOON_TIMES - 1
    assert gaps[:soon] == [SOON_SECONDS] * soon and set(gaps[soon:]) == {LATER_SECONDS}


async def test_news_is_passed_on_once_and_echoes_die(world: World, tmp_path: Path) -> None:
    one, two, three_ = await three(world, tmp_path)
    world.broadcasting = False
    async with running(world):
        one.address = "10.0.0.91"
        await anyio.sleep(30)
    assert len([to for _, sender, to in world.sent if sender == two.name and to == three_.address]) == 1


async def test_an_agent_that_starts_while_the_conductor_is_away_knows_everybody(world: World, tmp_path: Path) -> None:
    one, two, _ = await three(world, tmp_path)
    async with running(world):
        one.address = "10.0.0.91"
        await anyio.sleep(3)
    two.begin()
    async with running(world, two):
        assert two.kernel.reaches(one), "nobody has told it anything"


async def test_an_agent_that_starts_elsewhere_than_it_ended_says_so(world: World, tmp_path: Path) -> None:
    one, *_ = await three(world, tmp_path)
    async with running(world):
        await anyio.sleep(3)
    one.begin()
    one.address = "10.0.0.91"
    before = one.moving.heartbeat_fields()
    async with running(world):
        assert all_reach_all(world)
    after = one.moving.heartbeat_fields()
    assert (before["address"], after["address"]) == ("10.0.0.1", "10.0.0.91")
    assert before["publicKey"] == after["publicKey"] and after["sequence"] > before["sequence"]


async def test_the_conductor_tells_of_a_move_that_was_not_heard(world: World, tmp_path: Path) -> None:
    one, two, _ = await three(world, tmp_path)
    async with running(world):
        world.cut = {one.name}  # from the others, not from the conductor
        one.address = "10.0.0.91"
        await anyio.sleep(1)
        assert not two.kernel.reaches(one)
        world.introduce()
        assert await until(world, lambda: two.kernel.reaches(one), 1) <= 0.001


async def test_without_any_address_it_waits(world: World, tmp_path: Path) -> None:
    one, *_ = await three(world, tmp_path)
    async with running(world):
        one.address = ""
        await anyio.sleep(3)
        assert one.moving.heartbeat_fields()["sequence"] == 0
        one.address = "10.0.0.91"
        assert await until(world, lambda: all_reach_all(world), 5) <= POLL_SECONDS


async def test_connections_from_the_old_address_are_reset_for_exactly_so_long(world: World, tmp_path: Path) -> None:
    one, *_ = await three(world, tmp_path)
    async with running(world):
        one.address = "10.0.0.91"
        await until(world, lambda: bool(one.kernel.stands.cuts), 1)
        assert await until(world, lambda: not one.kernel.stands.cuts, 10) == pytest.approx(CUT_SECONDS, abs=0.002)
        assert one.kernel.stands.loopback == ("10.0.0.1",)


async def test_what_stands_is_compared_again_only_while_something_should(world: World, tmp_path: Path) -> None:
    one, two, _ = await three(world, tmp_path)
    async with running(world):
        await anyio.sleep(100)
        assert two.kernel.times() == [0.0], "once, for what an agent before may have left"
        one.address = "10.0.0.91"
        moved_at = world.clock.elapsed
        await until(world, lambda: all_reach_all(world), 1)
        two.kernel.stands = NatRules()  # somebody flushed everything
        await anyio.sleep(RESCAN_SECONDS + 0.1)
        assert two.kernel.reaches(one) and len(two.kernel.times(since=moved_at)) == 2


async def test_a_kernel_that_refuses_is_asked_again_and_told_of_once(world: World, tmp_path: Path) -> None:
    one, two, _ = await three(world, tmp_path)
    two.kernel.refuses = "iptables is not installed: apt-get install iptables"
    with capture_logs() as logs:
        async with running(world):
            one.address = "10.0.0.91"
            await anyio.sleep(4 * RETRY_SECONDS)
            two.kernel.refuses = ""
            await anyio.sleep(RETRY_SECONDS + 0.1)
            assert all_reach_all(world)
    assert [each["because"] for each in logs if each["log_level"] == "error"] == [
        "iptables is not installed: apt-get install iptables"
    ]


async def test_two_that_changed_places_say_that_they_do_not_reach_each_other(world: World, tmp_path: Path) -> None:
    one, two, three_ = await three(world, tmp_path)
    with capture_logs() as logs:
        async with running(world):
            one.address, two.address = two.address, one.address
            await anyio.sleep(20)
            assert three_.kernel.reaches(one) and three_.kernel.reaches(two)
    told = [each["because"] for each in logs if each["log_level"] == "error"]
    assert len(told) == 2 and all("this machine's own address" in each for each in told)


async def test_an_identity_that_is_no_ipv4_address_is_refused_in_words(world: World, tmp_path: Path) -> None:
    one = world.machine(tmp_path, 1)
    one.identity = "fd00::1"
    one.begin()
    with capture_logs() as logs:
        async with running(world):
            await anyio.sleep(100)
    (line,) = logs
    assert "only IPv4 is" in line["because"] and one.kernel.asked == []
    assert one.moving.heartbeat_fields()["identity"] == "fd00::1", "the heartbeat goes on"


async def test_a_full_disk_keeps_nobody_from_being_reached(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = await three(world, tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("local_peer", "peer_table"):
        monkeypatch.setattr(f"agent.addressing.{name}.write_private", full)
    with capture_logs() as logs:
        async with running(world):
            machines[0].address = "10.0.0.91"
            assert await until(world, lambda: all_reach_all(world), 5) <= POLL_SECONDS
    assert any("No space left" in each.get("because", "") for each in logs)
