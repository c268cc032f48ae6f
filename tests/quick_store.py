"""Real SQLite stores whose commits wait for no disk, for tests of what is built on them.

What outlives a crash or a power loss is for tests/contracts/store and for real clouds, which start as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.store import sqlite


@pytest.fixture(scope="module", autouse=True)
def commits_wait_for_no_disk() -> Iterator[None]:
    """For every connection a store of this process opens while the file's tests run."""
    quick = tuple(each.replace("synchronous=FULL", "synchronous=OFF") for each in sqlite.PRAGMAS)
    assert quick != sqlite.PRAGMAS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "PRAGMAS", quick)
        yield
