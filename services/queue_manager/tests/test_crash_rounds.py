"""kill -9 at random moments under load, again and again on one folder: nothing that was acknowledged is undone.

No acknowledged send is lost, no acknowledged delete comes back, nobody gets a message inside the time it is hidden,
and no group of a FIFO queue loses its order. `make test` takes some rounds; `make test-queues` 120, `test-crash` 300.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from services.queue_manager.tests.crash_load import opened

ROUNDS = int(os.environ.get("AEREKOS_CRASH_ROUNDS", "5"))


class Told:
    """All that all rounds have told."""

    def __init__(self) -> None:
        self.begun: set[str] = set()
        self.sent: set[str] = set()
        self.deleting: set[str] = set()
        self.deleted: set[str] = set()
        self.hidden_until: dict[str, int] = {}
        self.receives = 0
        self._seen: set[str] = set()
        self._newest: dict[str, str] = {}

    def note(self, lines: list[list[str]]) -> None:
        for what, key, *times in lines:
            if what == "got":
                before, hidden, after = map(int, times)
                assert key not in self.deleted, f"{key} came back"
                assert after >= self.hidden_until.get(key, 0), f"{key} was somebody else's still"
                self.hidden_until[key] = before + hidden
                self.receives += 1
                self._require_in_order(key)
            else:
                named = {"send": self.begun, "sent": self.sent, "delete": self.deleting, "deleted": self.deleted}
                named[what].add(key)

    def _require_in_order(self, key: str) -> None:
        """What comes for the first time comes after all of its group that came before it."""
        group = key.partition(".")[0]
        if group == "s" or key in self._seen:
            return
        self._seen.add(key)
        assert key > self._newest.get(group, ""), f"{key} was overtaken by {self._newest[group]}"
        self._newest[group] = key


def killed(folder: Path, seed: int, deletes: int, then: float) -> list[list[str]]:
    """What the load told until it was killed: so many seconds after it had told of so many deletes, however long a
    slow machine takes for them.
    """
    command = [sys.executable, "-m", "services.queue_manager.tests.crash_load", str(folder), str(seed)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline().startswith("ready"), child.wait()
    told = list[str]()
    while deletes:
        told.append(child.stdout.readline())
        assert told[-1], child.wait()
        deletes -= told[-1].startswith("deleted")
    try:
        child.wait(then)
    except subprocess.TimeoutExpired:
        child.kill()
    rest = child.stdout.read().rpartition("\n")[0]  # it may have died in the middle of a word
    assert child.wait() == -signal.SIGKILL
    return [line.split() for line in (*told, *rest.splitlines())]


def bodies(folder: Path) -> set[str]:
    """What is there after the death, on disk and in memory alike."""
    database, broker = opened(folder)
    rows = dict(database.rows("SELECT number, body FROM messages"))
    assert {number for each in broker.known() for number in each.order.messages} == set(rows)
    database.close()
    return set(rows.values())


def test_nothing_acknowledged_is_undone(tmp_path: Path) -> None:
    rng, told = random.Random(os.environ.get("AEREKOS_CRASH_SEED", "1")), Told()
    for number in range(ROUNDS):
        told.note(killed(tmp_path, number, rng.randrange(60), rng.uniform(0.0, 0.1)))
        there = bodies(tmp_path)
        assert told.sent - told.deleting <= there, "an acknowledged send is lost"
        assert not told.deleted & there, "an acknowledged delete has come back"
        assert there <= told.begun
    assert min(len(told.sent), told.receives) >= len(told.deleted) > 5 * ROUNDS
    print(f"{ROUNDS} deaths: {len(told.sent)} sent, {told.receives} received, {len(told.deleted)} deleted")
