"""What the README tells people to type works, typed as it stands there, in a cloud as `make up` starts it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from clouds import PATIENCE_SECONDS, REPOSITORY, Cloud

# Sections whose blocks are not for a shell, or would install, build and deploy the whole project.
NOT_RUN = {
    "Two commands": "the cloud of this test is what `make up` starts, and this is what `make test` runs",
    "On several machines": "`make swarm-up` builds images: make test-swarm does all of that section",
    "Layout": "no commands",
}
# A number people read off the line above, as the README says.
READ_OFF = {"12345": "$(aerekos events | sed -n 's/.*key-manager-0 started (pid \\([0-9]*\\),.*/\\1/p' | tail -n 1)"}


def blocks(markdown: str) -> dict[str, str]:
    """Section → its indented blocks, as one script."""
    found: dict[str, str] = {}
    for section in re.split(r"^## ", markdown, flags=re.M)[1:]:
        title, _, text = section.partition("\n")
        lines = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]
        if lines:
            found[title.strip()] = "\n".join(lines) + "\n"
    return found


def scripts(file: str) -> list[tuple[str, str]]:
    return [(title, text) for title, text in blocks((REPOSITORY / file).read_text()).items() if title not in NOT_RUN]


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


@pytest.mark.parametrize(("title", "script"), [*scripts("README.md"), *scripts("docs/cli.md")])
def test_every_line_works(cloud: Cloud, checkout: Path, title: str, script: str) -> None:
    for shown, real in READ_OFF.items():
        script = script.replace(shown, real)
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
