"""kill -9 at random moments under mixed load and compaction, again and again on one folder, against a model.

What was acknowledged is there, what was not is there wholly or not at all, and nothing is damaged. `make test` takes
some rounds; `make test-crash` takes 300 (AEREKOS_CRASH_ROUNDS).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import anyio

from services.storage_manager.compaction import Compactor
from services.storage_manager.segments import segment_ids
from services.storage_manager.tests.crash_load import Folder, body_of

ROUNDS = int(os.environ.get("AEREKOS_CRASH_ROUNDS", "6"))
KEYS = 40
Model = dict[str, int]


def killed(folder: Path, seed: int, after: float, quiet: bool) -> list[list[str]]:
    """What the load told until it was killed, that many seconds after its start."""
    command = [sys.executable, "-m", "services.storage_manager.tests.crash_load", str(folder), str(seed), str(KEYS)]
    child = subprocess.Popen([*command, "quiet" if quiet else "busy"], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline().startswith("ready"), child.wait()
    try:
        child.wait(after)
    except subprocess.TimeoutExpired:
        child.kill()
    told = [line.split() for line in child.stdout.read().splitlines()]
    assert child.wait() == -signal.SIGKILL
    return told


def allowed(model: Model, told: list[list[str]]) -> dict[str, set[int]]:
    """What each key may be now: as it was, or, where a change was begun and not acknowledged, as that makes it."""
    may = {key: {seed} for key, seed in model.items()}
    for mark, key, seed in told:
        may[key] = {int(seed)} if mark == "!" else may.get(key, {0}) | {int(seed)}
    return may


def found(folder: Folder, key: str, may: set[int]) -> int:
    """Which of those it is. Fails when it is none, and raises Corrupt."""
    body = folder.read(key)
    for seed in may:
        if body == (body_of(seed) if seed else None):
            return seed
    raise AssertionError(f"{key} is none of {may}")


def test_nothing_acknowledged_is_lost_and_nothing_half_done_is_seen(tmp_path: Path) -> None:
    rng, model, acknowledged = random.Random(os.environ.get("AEREKOS_CRASH_SEED", "1")), Model(), 0
    for number in range(ROUNDS):
        told = killed(tmp_path, rng.randrange(1 << 30), rng.uniform(0.01, 0.6), quiet=number % 5 == 4)
        acknowledged += sum(mark == "!" for mark, *_ in told)
        folder = Folder(tmp_path)
        model = {key: found(folder, key, may) for key, may in allowed(model, told).items()}
        listed = {each.key for each in folder.metadata.page("b", "", True, 10 * KEYS)}
        assert listed == {key for key, seed in model.items() if seed}
    assert acknowledged > 10 * ROUNDS
    compacted(tmp_path, model)


def compacted(path: Path, model: Model) -> None:
    """All is still there after one more turn without any death, and takes no more room than it may."""
    folder = Folder(path)

    async def once() -> None:
        compactor = Compactor(folder.small)
        compactor.note_erased(set(segment_ids(folder.small.folder)))
        await compactor.compact_due()

    anyio.run(once)
    for key, seed in model.items():
        assert found(folder, key, {seed}) == seed
