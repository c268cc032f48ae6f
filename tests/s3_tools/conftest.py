"""Clients of S3 that others wrote, unmodified, and a cloud for them."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from clouds import Cloud, Said, a_port, run

INSTALLED = Path(sys.prefix) / "s3-tools"
PROGRAMS = Path(__file__).parent / "programs"
# What hangs is told apart from what is slow.
PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Tools:
    """Programs, and the cloud they speak to."""

    cloud: Cloud

    def path(self, name: str) -> str:
        """Of the program; the test is skipped where it could not be installed."""
        for folder in ("bin", "debian/usr/bin", "debian/usr/lib/postgresql/15/bin"):
            if (INSTALLED / folder / name).exists():
                return str(INSTALLED / folder / name)
        pytest.skip(f"{name} cannot be had here: make .venv/s3-tools/.installed says why")

    def env(self, program: str = "aws") -> dict[str, str]:
        """What `aerekos env --for` that program sets, and nothing else of AWS; Debian's libraries are found."""
        told = json.loads(self.cloud.do("env", "--format", "json", "--for", program))
        libraries = INSTALLED / "debian" / "usr" / "lib" / f"{os.uname().machine}-linux-gnu"
        return {**self.cloud.env, **told, "LD_LIBRARY_PATH": str(libraries)}

    def run(
        self,
        name: str,
        *arguments: str,
        program: str = "aws",
        env: Mapping[str, str] | None = None,
        folder: Path = Path(),
    ) -> Said:
        """Whatever comes of it. `program`: whose environment it gets, and what more there is in `env`."""
        return run(
            [self.path(name), *arguments], {**self.env(program), **(env or {})}, None, PATIENCE_SECONDS, folder
        )

    def do(self, name: str, *arguments: str, **how: object) -> str:
        """What it prints, if it succeeds."""
        said = self.run(name, *arguments, **how)  # type: ignore[arg-type]
        assert said.code == 0, f"{name} {' '.join(arguments)} → {said.code}\n{said.out[-2000:]}\n{said.err[-4000:]}"
        return said.out

    def script(self, name: str, *arguments: str, program: str = "aws") -> str:
        """One of the files in `programs`, run by the Python or the Node that its libraries are installed for."""
        interpreter = "node" if name.endswith(".mjs") else "python"
        if interpreter == "node" and not (INSTALLED / "js" / "node_modules").exists():
            pytest.skip("the AWS SDK for JavaScript cannot be had here: make .venv/s3-tools/.installed says why")
        file = str(PROGRAMS / name)
        if interpreter == "node":  # modules are looked for beside the file
            file = str(shutil.copy(file, INSTALLED / "js"))
        return self.do(interpreter, file, *arguments, program=program)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    if not (INSTALLED / ".installed").exists():
        pytest.skip("these programs cannot be had here: make .venv/s3-tools/.installed says why")
    running = Cloud(tmp_path_factory.mktemp("cloud") / "home", a_port())
    running.do("up")
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


@pytest.fixture(scope="session")
def tools(cloud: Cloud) -> Tools:
    return Tools(cloud)


@pytest.fixture
def bucket(cloud: Cloud, request: pytest.FixtureRequest) -> str:
    """A new one, named after the test."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40].strip("-")
    said = cloud.aws("s3", "mb", f"s3://{name}")
    assert said.code == 0, said
    return name


def a_tree(folder: Path, files: int) -> Path:
    """Folders with that many files of up to 4 KiB and some names that must be escaped, the same in every run."""
    chance = random.Random(files)
    for number in range(files):
        file = folder / f"d{number % 20}" / f"of {number % 7}" / f"f{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(chance.randbytes(chance.randrange(4096)))
    (folder / "ümläut +&%40 'x'.txt").write_text("x")
    return folder


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    return contents(one) == contents(other)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
