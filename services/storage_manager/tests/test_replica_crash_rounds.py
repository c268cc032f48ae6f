"""kill -9 of the one that takes writes, of its copy, or of both, again and again under load, against a model.

What was acknowledged is on both disks after each death, byte for byte. `make test` takes some rounds;
`make test-crash` takes 100 (a third of AEREKOS_CRASH_ROUNDS).
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import time
from pathlib import Path
from typing import Any

from services.storage_manager.segments import segment_ids
from services.storage_manager.tests import replica_load
from services.storage_manager.tests.crash_load import BUCKET, Folder
from services.storage_manager.tests.test_crash_rounds import Model, allowed, found

ROUNDS = int(os.environ.get("AEREKOS_CRASH_ROUNDS", "6")) // 3


_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([replica_load.__name__])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Pair:
    """Both processes; the port stays, so that whoever comes back is found."""

    def __init__(self, path: Path) -> None:
        self.path, self.port, self.running = path, free_port(), dict[str, Any]()

    def start(self, role: str, seed: int = 0) -> None:
        (self.path / role).mkdir(exist_ok=True)
        given = (role, self.path / role, self.path / f"{role}.told", seed, self.port)
        self.running[role] = _PROCESSES.Process(target=replica_load.run, args=given)
        self.running[role].start()

    def kill(self, role: str) -> list[list[str]]:
        """What it told. Fails for one that had ended by itself."""
        child = self.running.pop(role)
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL, f"{role} had ended by itself"
        return self.told(role)

    def told(self, role: str) -> list[list[str]]:
        lines = (self.path / f"{role}.told").read_text().split("\n")[:-1]
        return [line.split() for line in lines if not line.startswith("ready")]

    def until_ready(self) -> None:
        file, end = self.path / "primary.told", time.monotonic() + 60
        while not (file.exists() and file.read_text().startswith("ready")):
            assert time.monotonic() < end, "the copy never caught up"
            time.sleep(0.01)


def judged(path: Path, may: dict[str, set[int]]) -> Model:
    """What is there, all of it allowed."""
    folder = Folder(path)
    return {key: (setting if key in replica_load.SETTINGS else found)(folder, key, each) for key, each in may.items()}


def setting(folder: Folder, name: str, may: set[int]) -> int:
    document = folder.metadata.configuration(BUCKET, name)
    seed = int(document["seed"]) if document else 0
    assert seed in may, f"{name} is {seed}, none of {may}"
    return seed


def test_what_was_acknowledged_is_on_both_disks_whoever_is_killed(tmp_path: Path) -> None:
    rng, acknowledged = random.Random(os.environ.get("AEREKOS_CRASH_SEED", "1")), 0
    pair, model = Pair(tmp_path), Model()
    for _ in range(ROUNDS):
        (tmp_path / "primary.told").unlink(missing_ok=True)
        pair.start("primary", rng.randrange(1 << 30))
        pair.start("copy")
        pair.until_ready()
        time.sleep(rng.uniform(0.1, 0.8))
        if rng.random() < 0.5:  # the copy dies, and comes back while writes wait for it
            pair.kill("copy")
            time.sleep(rng.uniform(0.0, 0.2))
            pair.start("copy")
            time.sleep(rng.uniform(0.3, 1.2))
        order = rng.sample(["primary", "copy"], 2)
        told = [line for role in order for line in pair.kill(role)]
        acknowledged += sum(mark == "!" for mark, *_ in told)
        # The load began once the copy had all that the one before had left on the first disk.
        may = allowed(model, told)
        judged(tmp_path / "copy", may)
        model = judged(tmp_path / "primary", may)
    assert acknowledged > ROUNDS
    assert len(segment_ids(tmp_path / "copy" / "segments")) < 40
