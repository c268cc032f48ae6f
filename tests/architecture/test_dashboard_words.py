"""Words of the dashboard that people stumbled over do not come back: what it said, and what it says now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "dashboard" / "src"
WORDS = {
    r"wished differently": "what changed",
    r"Go to or do": "Search or run a command",
    r"Empty: a shell": "Leave empty for a shell",
    r"Look again": "Refresh",
    r"Reconciled (holds|does not hold)": "nothing while it is true",
    r"or never was": "what is not found",
    r"['\"](Keep|Know)['\"]": "Data, Insight",
    r"it is to be restarted": "it restarts",
    r"Other doors": "Connect other tools",
    r"Lock out": "Disable",
    r"label=['\"]Enter['\"]": "Log in",
    r"title=['\"]Keys['\"][^>]*onClose": "Keyboard shortcuts: there is a page Keys",
    r">[^<{]*\bcopies\b[^<}]*<": "instances, replicas",
}


def shown() -> dict[Path, str]:
    """The sources of the page, without comments and tests."""
    files = [each for ending in ("ts", "tsx") for each in SOURCES.rglob(f"*.{ending}") if ".test." not in each.name]
    return {each: re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", each.read_text(), flags=re.S) for each in files}


@pytest.mark.parametrize("word", WORDS)
def test_no_odd_word_comes_back(word: str) -> None:
    texts = shown()
    assert len(texts) > 100
    found = [str(file.relative_to(SOURCES)) for file, text in texts.items() if re.search(word, text, re.IGNORECASE)]
    assert found == [], f"say it as everybody does: {WORDS[word]}"
