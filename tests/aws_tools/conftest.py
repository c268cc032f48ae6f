"""Programs of others that speak to AWS, unmodified, and a cloud for them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import Cloud, a_port

INSTALLED = Path(sys.prefix) / "aws-tools" / "bin"


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of their programs."""
    if not (INSTALLED / "sops").exists():
        pytest.skip("these programs cannot be had here: make .venv/aws-tools/.installed says why")
    return INSTALLED


@pytest.fixture(scope="session")
def cloud(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("cloud") / "home", a_port())
    said = running.command("up", "--timeout", "300", timeout=330)
    assert said.code == 0, said
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)
