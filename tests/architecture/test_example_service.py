"""`examples/notes_manager` is what docs/writing-a-service.md promises: small, quick, and all that is shown there."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "notes_manager"
PAGE = ROOT / "docs" / "writing-a-service.md"
MOST_LINES, MOST_SECONDS = 150, 5.0


def test_it_is_one_small_folder_whose_tests_are_quick() -> None:
    files = [each for each in FOLDER.rglob("*") if each.is_file() and "__pycache__" not in each.parts]
    assert sum(len(each.read_text().splitlines()) for each in files) < MOST_LINES
    env = {**os.environ, "AEREKOS_SERVICES_PATH": str(FOLDER.parent)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", str(FOLDER)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor's time: how busy the machine is besides says nothing about it.
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert took < MOST_SECONDS, f"its tests took {took:.1f} s"


def test_what_the_page_shows_is_in_it() -> None:
    """Line by line, of each block that begins as the example's code does."""
    lines = {line.strip() for each in FOLDER.rglob("*.py") for line in each.read_text().splitlines()}
    begins = ("class ", "grants=", "@route", "def create", "async def reconcile")
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE.read_text(), re.M)
    shown = [block for block in blocks if block.strip().startswith(begins)]
    assert len(shown) == len(begins)
    for line in "".join(shown).splitlines():
        assert line.strip() in lines | {"...", ""}, line
