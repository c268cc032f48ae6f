"""What the README tells people to type works, typed as it stands there, in a cloud as `make up` starts it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from clouds import PATIENCE_SECONDS, REPOSITORY, Cloud
from readme import NOT_RUN, blocks, typed

# The README says it once, for all that follows.
ON_PATH = "export PATH=$PWD/.venv/bin:$PATH\n"


def scripts(file: str) -> list[tuple[str, str]]:
    return typed((REPOSITORY / file).read_text())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as after `git clone` and `make up`; what is written there disturbs nobody."""
    folder = tmp_path_factory.mktemp("checkout")
    for each in ("README.md", "examples", ".venv"):
        (folder / each).symlink_to(REPOSITORY / each)
    return folder


def test_nothing_is_left_out_that_is_not_there() -> None:
    assert set(NOT_RUN) <= set(blocks((REPOSITORY / "README.md").read_text()))
    assert len(scripts("README.md")) >= 1


@pytest.mark.parametrize(
    ("title", "script"),
    [*scripts("README.md"), *((title, ON_PATH + text) for title, text in scripts("docs/cli.md"))],
)
def test_every_line_works(cloud: Cloud, checkout: Path, title: str, script: str) -> None:
    said = subprocess.run(
        ["bash", "-o", "pipefail", "-ec", script],
        env=cloud.env,
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS * 3,
        check=False,
    )
    assert said.returncode == 0, f"{title}\n{script}\n→ {said.returncode}\n{said.stdout}\n{said.stderr}"
    assert "Traceback" not in said.stderr


def test_what_is_applied_twice_is_unchanged(cloud: Cloud) -> None:
    cloud.do("apply", "-f", "examples/")
    said = cloud.do("apply", "-f", "examples/").splitlines()
    assert said and all(line.endswith("unchanged") for line in said)
