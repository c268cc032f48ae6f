"""Killed between send and acknowledge, again and again: doubles are allowed, losses are not.

`make test` takes some rounds; `make test-webhooks` takes a hundred.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROUNDS = 100 if os.environ.get("AEREKOS_WEBHOOKS") == "full" else 3


def lived(folder: Path, seed: int, deadly: float) -> int:
    command = [sys.executable, "-m", "services.webhook_manager.tests.crash_load", str(folder), str(seed), str(deadly)]
    return subprocess.run(command, check=False, timeout=120).returncode


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_no_message_that_was_taken_is_lost(tmp_path: Path) -> None:
    kills = [lived(tmp_path, seed, 0.01) for seed in range(ROUNDS)].count(-signal.SIGKILL)
    assert kills > ROUNDS / 2
    assert lived(tmp_path, -1, 0) == 0
    acknowledged, sent = lines(tmp_path / "acknowledged"), lines(tmp_path / "sent")
    assert acknowledged and set(acknowledged) - set(sent) == set()
    print(f"{kills} kills, {len(acknowledged)} acknowledged, {len(sent)} sent, {len(sent) - len(set(sent))} doubles")
