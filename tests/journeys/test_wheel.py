"""The wheel, installed as pip and pipx do it: a cloud without a checkout, the dashboard and all services in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clouds import REPOSITORY, Cloud, Said, a_port, run

OURS = ("agent", "api", "cli", "controller", "crds", "services")


@dataclass(frozen=True)
class Installed(Cloud):
    """Its commands are those of that virtualenv."""

    venv: Path = Path()

    @property
    def env(self) -> dict[str, str]:
        kept = super().env
        return {name: value for name, value in kept.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def command(self, *arguments: str, text: str | None = None, timeout: float = 120, **env: str) -> Said:
        return run([str(self.venv / "bin" / "aerekos"), *arguments], {**self.env, **env}, text, timeout)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """site-packages of a new virtualenv with the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, REPOSITORY], check=True, timeout=300)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=120)
    (found,) = (folder / "venv" / "lib").glob("python3*/site-packages")
    _link_dependencies(found)
    (wheel,) = folder.glob("*.whl")
    into = [*pip, "--python", folder / "venv" / "bin" / "python", "install", "--no-deps", "--no-index", wheel]
    subprocess.run(into, check=True, timeout=120)
    return found


def _link_dependencies(site: Path) -> None:
    """Those of this very Python: the same files, and a tenth of the time of installing them."""
    for source in {Path(each) for each in sys.path if Path(each).name == "site-packages"}:
        for each in source.iterdir():
            target = site / each.name
            if "aerekos" in each.name or each.suffix == ".pth" or target.exists():
                continue
            if each.is_dir():
                shutil.copytree(each, target, copy_function=_linked)
            else:
                _linked(each, target)


def _linked(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def cloud(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    running = Installed(tmp_path_factory.mktemp("installed") / "home", a_port(), venv=site.parents[2])
    running.do("up")
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


def test_it_adds_one_name_to_site_packages(site: Path) -> None:
    added = {each.name for each in site.iterdir() if "aerekos" in each.name}
    assert {"aerekos_cloud"} == {each for each in added if "dist-info" not in each}
    assert not any((site / each).exists() for each in OURS)
    assert {each for each in OURS if (site / "aerekos_cloud" / each).is_dir()} == set(OURS)
    assert not list((site / "aerekos_cloud").rglob("tests")), "tests are no part of a program"


def test_a_cloud_starts_and_its_services_answer(cloud: Installed, site: Path, tmp_path: Path) -> None:
    key, blob = cloud.kms("create-key")["KeyMetadata"]["KeyId"], tmp_path / "blob"
    blob.write_bytes(b"hello")
    sealed = cloud.kms("encrypt", "--key-id", key, "--plaintext", f"fileb://{blob}")["CiphertextBlob"]
    blob.write_bytes(b64decode(sealed))
    assert b64decode(cloud.kms("decrypt", "--ciphertext-blob", f"fileb://{blob}")["Plaintext"]) == b"hello"
    maps = Path(f"/proc/{cloud.conductor_pid()}/environ").read_bytes()
    assert str(site / "aerekos_cloud").encode() in maps, "it runs what was installed, not this checkout"


def test_its_dashboard_is_inside(cloud: Installed) -> None:
    if not (REPOSITORY / "dashboard" / "dist" / "index.html").exists():
        pytest.skip("the dashboard was not built here")
    with cloud.http(admin=False) as client:
        assert '<div id="root">' in client.get("/ui/").text


def test_it_says_which_version_and_which_commit_it_is(cloud: Installed, site: Path) -> None:
    (info,) = site.glob("aerekos_cloud-*.dist-info")
    version = info.name.removeprefix("aerekos_cloud-").removesuffix(".dist-info")
    said = cloud.do("version")
    assert [line.split()[1] for line in said.splitlines()] == [version, version]
    with cloud.http(admin=False) as client:
        told = client.get("/version").json()
    assert told["version"] == version
    if (REPOSITORY / ".git").exists():
        assert told["gitCommit"] and told["gitCommit"] in said


def test_make_builds_it_as_this_test_does() -> None:
    # Under another make, this one would also say which folder it enters and leaves.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", "-n", "wheel"]
    done = subprocess.run(command, cwd=REPOSITORY, env=alone, capture_output=True, text=True, check=True, timeout=60)
    assert "python -m pip --disable-pip-version-check wheel " in done.stdout.splitlines()[-1]
