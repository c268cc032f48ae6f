"""What `make up` says while it installs, and `make down` where nothing is installed: by the real pip and make."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest
from clouds import REPOSITORY

from cli.pip_install import Telling, count_locked, explain, install

NOBODY = "http://127.0.0.1:9/simple"  # the discard port, where nobody listens


def a_wheel(folder: Path) -> Path:
    """A package with nothing in it."""
    file, info = folder / "nothing-1.0-py3-none-any.whl", "nothing-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: nothing\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return file


def test_without_a_network_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "install.log"
    wanted = ["--isolated", "--retries", "1", "--index-url", NOBODY, "--target", str(tmp_path), "nothing==1.0"]
    assert install(log, wanted) == 1
    said = capsys.readouterr()
    assert said.out == "    the package index does not answer; trying again\n"
    assert "ERROR: No matching distribution found for nothing==1.0" in said.err
    assert "cannot be reached from here" in said.err and "HTTPS_PROXY" in said.err and str(log) in said.err
    assert "Looking in indexes" in log.read_text()


def test_what_goes_well_is_said_in_few_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, place = tmp_path / "install.log", tmp_path / "place"
    assert install(log, ["--isolated", "--no-index", "--target", str(place), str(a_wheel(tmp_path))]) == 0
    assert capsys.readouterr() == ("", "")
    assert (place / "nothing-1.0.dist-info").is_dir() and "Successfully installed nothing-1.0" in log.read_text()


def test_other_bytes_than_the_lock_names_are_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text(f"nothing @ {a_wheel(tmp_path).as_uri()} --hash=sha256:{'0' * 64}\n")
    wanted = ["--isolated", "--no-index", "--target", str(tmp_path), "--require-hashes", "-r", str(lock)]
    assert install(tmp_path / "install.log", wanted) == 1
    assert "other bytes than the lock file names" in capsys.readouterr().err


def test_progress_is_a_line_for_twenty_packages() -> None:
    total = count_locked(["--require-hashes", "-r", str(REPOSITORY / "requirements.lock")])
    assert total > 40
    pip = [line for _ in range(total) for line in ("Collecting a==1 (from -r x)", "  Downloading a.whl (2 kB)")]
    telling = Telling(total)
    said = [news for line in [*pip, "Installing collected packages: a"] if (news := telling.of(line))]
    assert said == [*(f"{at} of {total} packages" for at in range(20, total + 1, 20)), "unpacking"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] ...'))", "certificate"),
        ("WARNING: Retrying (...) after connection broken by 'ProxyError('Cannot connect')'", "cannot be reached"),
        ("ERROR: No matching distribution found for x==1", "no build for this Python"),
    ],
)
def test_each_cause_has_its_own_words(line: str, word: str) -> None:
    meaning, fix = explain(["Collecting x", line])
    assert word in meaning and fix
    assert explain(["ERROR: something else"]) == ("", "")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What make needs to see of a clone."""
    for each in ("Makefile", "requirements.lock", "pyproject.toml", "dashboard"):
        (tmp_path / each).symlink_to(REPOSITORY / each)
    return tmp_path


def make_down(clone: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(clone / "home")}
    command = ["make", "down", "PYTHON=/nowhere/python"]
    return subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_make_down_in_a_fresh_clone_installs_nothing(clone: Path) -> None:
    before = set(clone.iterdir())
    done = make_down(clone)
    assert done.returncode == 0 and done.stdout == "nothing runs: no cloud was started here\n"
    assert set(clone.iterdir()) == before


@pytest.fixture
def run(clone: Path) -> Path:
    """Where a cloud notes what runs."""
    folder = clone / "home" / ".local" / "share" / "aerekos" / "run"
    (folder / "instances").mkdir(parents=True)
    return folder


@pytest.fixture
def ended() -> int:
    """The number of a process that is gone."""
    with subprocess.Popen(["true"]) as process:
        pass
    return process.pid


def note(file: Path, pid: int) -> None:
    file.write_text(json.dumps({"pid": pid, "startTime": 1, "port": 7443, "told": {"host": "::"}}))


def test_make_down_after_a_power_loss_installs_nothing(clone: Path, run: Path, ended: int) -> None:
    for record in (run / "conductor.json", run / "instances" / "default.web-0.json"):
        note(record, ended)
    done = make_down(clone)
    assert (done.returncode, done.stdout) == (0, "nothing runs: the cloud that was started here has ended\n")
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("living", ["conductor.json", "instances/default.web-0.json", "nothing that can be read"])
def test_make_down_installs_what_it_needs_for_a_cloud_that_runs(
    clone: Path, run: Path, ended: int, living: str
) -> None:
    """Services live on when their conductor was killed."""
    note(run / "conductor.json", ended)
    if living.endswith(".json"):
        note(run / living, os.getpid())
    else:
        (run / "conductor.json").write_text("{}")
    done = make_down(clone)
    assert done.returncode != 0 and "needs Python 3.11 or newer" in done.stderr, "it set out to install"
