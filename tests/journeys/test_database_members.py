"""Databases with members under constant writes, and faults in no order: nothing that was acknowledged is lost, and
somebody takes writes again. `make test-databases` takes fifty faults.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

import psutil
import pytest
from clouds import Cloud, a_port, eventually, kill
from databases import NEEDED, Writer, condition, credentials, make, patch, primary_of, processes, ready

pytestmark = [*NEEDED, pytest.mark.long]
ROUNDS = int(os.environ.get("AEREKOS_DATABASE_ROUNDS", "4"))
SEED = int(os.environ.get("AEREKOS_DATABASE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
FROZEN_SECONDS = 60 if ROUNDS >= 50 else 15


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("members") / "home", a_port())
    running.do("up")
    make(running, "trio", members=3, durability="strict")
    follows(running)
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


@pytest.fixture
def writer(cloud: Cloud) -> Iterator[Writer]:
    made = Writer(credentials(cloud, "trio")["uri"])
    yield made
    made.stop()


def follows(cloud: Cloud) -> None:
    """All members do, and nothing is about to change."""
    for _ in range(3):  # a member may take a while to be copied anew
        with suppress(AssertionError):
            eventually(lambda: condition(cloud, "trio", "Replicated").get("status") == "True", "all of them follow")
            break
    ready(cloud, "trio")


def goes_on(writer: Writer) -> None:
    so_far = len(writer.acknowledged)
    eventually(lambda: len(writer.acknowledged) > so_far + 5, "rows are acknowledged")


def test_nothing_acknowledged_is_lost_in_any_faults(cloud: Cloud, writer: Writer) -> None:
    rng = random.Random(SEED)
    print(f"AEREKOS_DATABASE_SEED={SEED}")
    for number in range(ROUNDS):
        goes_on(writer)
        writer.gap()
        fault = rng.choice(FAULTS)
        before = primary_of(cloud, "trio")
        print(f"{number + 1}: {fault.__name__}", flush=True)
        fault(cloud, rng)
        goes_on(writer)
        lost = writer.missing()
        print(f"{number + 1}: {fault.__name__}, {before} -> {primary_of(cloud, 'trio')}, {writer.gap():.2f} s")
        assert not lost, f"round {number + 1}, {fault.__name__}: {sorted(lost)[:10]} of {len(writer.acknowledged)}"
        follows(cloud)


def kill_the_first_process(cloud: Cloud, rng: random.Random) -> None:
    kill(cloud.instances()[f"{the_primary(cloud)}-0"])


def kill_all_processes(cloud: Cloud, rng: random.Random) -> None:
    signal_all(cloud, the_primary(cloud), signal.SIGKILL)


def freeze_all_processes(cloud: Cloud, rng: random.Random) -> None:
    signal_all(cloud, the_primary(cloud), signal.SIGSTOP)


def freeze_for_a_moment(cloud: Cloud, rng: random.Random) -> None:
    """It goes on about when another one is chosen."""
    frozen = processes(cloud, the_primary(cloud))
    for each in frozen:
        each.suspend()
    time.sleep(rng.uniform(1, 5))  # how long it hangs is the fault itself
    for each in frozen:
        with suppress(psutil.NoSuchProcess):
            each.resume()


def kill_a_replica(cloud: Cloud, rng: random.Random) -> None:
    others = [each for each in ("trio-0", "trio-1", "trio-2") if each != the_primary(cloud)]
    signal_all(cloud, rng.choice(others), signal.SIGKILL)


def kill_db_manager_and_the_primary(cloud: Cloud, rng: random.Random) -> None:
    freeze_all_processes(cloud, rng)
    time.sleep(rng.uniform(0, 5))  # at any step of what follows
    kill(cloud.instances()["db-manager-0"])


def switch_over(cloud: Cloud, rng: random.Random) -> None:
    before = the_primary(cloud)
    wish = {"metadata": {"annotations": {"aerekos.cloud/switchoverAt": datetime.now(UTC).isoformat()}}}
    assert patch(cloud, "trio", wish) == 200
    eventually(lambda: primary_of(cloud, "trio") not in ("", before), "another one takes writes")


FAULTS: tuple[Callable[[Cloud, random.Random], None], ...] = (
    kill_the_first_process,
    kill_all_processes,
    freeze_all_processes,
    freeze_for_a_moment,
    kill_a_replica,
    kill_db_manager_and_the_primary,
    switch_over,
)


def the_primary(cloud: Cloud) -> str:
    return eventually(lambda: primary_of(cloud, "trio"), "there is a primary")


def signal_all(cloud: Cloud, member: str, number: int) -> None:
    for each in processes(cloud, member):
        with suppress(psutil.NoSuchProcess):
            each.send_signal(number)


def test_without_the_conductor_it_goes_on(cloud: Cloud, writer: Writer) -> None:
    follows(cloud)
    goes_on(writer)
    writer.gap()
    conductor = cloud.conductor_pid()
    kill(conductor, signal.SIGSTOP)
    try:
        time.sleep(FROZEN_SECONDS)
    finally:
        kill(conductor, signal.SIGCONT)
    gap = writer.gap()
    print(f"conductor frozen for {FROZEN_SECONDS} s: {gap:.2f} s without a row")
    assert gap < 5 and writer.missing() == set()
    kill(conductor)
    goes_on(writer)
    cloud.do("up")
    goes_on(writer)
    assert writer.missing() == set()
