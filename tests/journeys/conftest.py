"""Clouds for journeys."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from clouds import Cloud, a_port


@pytest.fixture
def new_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Cloud]]:
    """Makes homes; nothing runs in them yet. Whatever the test leaves running is stopped."""
    made: list[Cloud] = []

    def make(name: str = "home") -> Cloud:
        made.append(Cloud(tmp_path_factory.mktemp("cloud") / name, a_port()))
        return made[-1]

    yield make
    for cloud in made:
        cloud.command("down")
        shutil.rmtree(cloud.home, ignore_errors=True)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One running cloud for all tests of a file."""
    running = Cloud(tmp_path_factory.mktemp("shared") / "home", a_port())
    running.do("up")
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)
