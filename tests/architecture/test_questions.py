"""The questions of docs/architecture.md: each grep, run as the page gives it, leads to the file the page names."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
MOST_HITS = 7
ROW = re.compile(r"^\| (?P<question>Where [^|]+\?) \| `(?P<grep>grep [^|]+)` \| `(?P<file>[^`]+)`", re.M)
QUESTIONS = [match.group("question", "grep", "file") for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]


def files_found(grep: str) -> list[str]:
    """The file of each hit, tests left out."""
    said = subprocess.run(shlex.split(grep), cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, f"{grep}: nothing is found {said.stderr}"
    files = [line.partition(":")[0] for line in said.stdout.splitlines() if not line.startswith("Binary file")]
    return [each for each in files if "/tests/" not in each]


def test_the_page_asks_ten_questions() -> None:
    assert len(QUESTIONS) == 10


@pytest.mark.parametrize(("question", "grep", "file"), QUESTIONS, ids=[each for each, _, _ in QUESTIONS])
def test_one_grep_answers_it(question: str, grep: str, file: str) -> None:
    found = files_found(grep)
    assert file in found, f"{question} leads to {found}"
    assert len(found) <= MOST_HITS, f"{question} leads to too many places: {found}"
