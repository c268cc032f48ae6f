"""A whole cloud with the walls up: who its services are, what they can reach, and that all goes on as before."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import Cloud, a_port, eventually, kill
from kubectl import Kubectl, kubectl_for, programs

from controller.runtime.sandbox.users import FIRST

WEBSOCKETS = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "true"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("walled") / "home", a_port())
    running.do("up")
    yield running
    running.command("down")
    shutil.rmtree(running.home, ignore_errors=True)


@pytest.fixture
def kubectl(cloud: Cloud, tmp_path: Path) -> Kubectl:
    able = {version: path for version, path in programs().items() if version >= (1, 30)}
    if not able:
        pytest.skip("no kubectl of 1.30 or newer here")
    return kubectl_for(cloud, able[max(able)], tmp_path)


def users(cloud: Cloud) -> dict[str, int]:
    return {name: Path(f"/proc/{pid}").stat().st_uid for name, pid in cloud.instances().items()}


def test_the_condition_says_how_well_they_are_walled_in(cloud: Cloud) -> None:
    told = cloud.condition("key-manager", "Isolated")
    assert told["status"] in ("True", "False")
    assert (told["status"] == "True") == (told["reason"] == "Sandboxed") == (told.get("message", "") == "")


def test_doctor_says_it_too(cloud: Cloud) -> None:
    assert "isolation" in cloud.do("doctor")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_each_service_has_a_user_of_its_own_and_keeps_it(cloud: Cloud) -> None:
    before = users(cloud)
    assert len(set(before.values())) == len(before) and all(user >= FIRST for user in before.values())
    for name in ("key-manager", "storage-manager"):
        folder = cloud.home / "data" / name
        assert (folder.stat().st_uid, folder.stat().st_mode & 0o777) == (before[f"{name}-0"], 0o700)
        assert all(each.stat().st_uid == before[f"{name}-0"] for each in folder.rglob("*"))
        log = cloud.home / "logs" / "services" / f"{name}-0.log"
        assert log.stat().st_mode & 0o077 == 0
    pid = cloud.instances()["key-manager-0"]
    kill(pid)
    eventually(lambda: cloud.instances().get("key-manager-0") not in (None, pid), "a new process")
    eventually(lambda: cloud.is_ready("key-manager"), "Ready again")
    assert users(cloud) == before


def test_no_new_privs_and_the_filter_stand_on_every_instance(cloud: Cloud) -> None:
    for pid in cloud.instances().values():
        status = Path(f"/proc/{pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
        assert "CapEff:\t0000000000000000" in status


def test_exec_runs_as_the_instance(cloud: Cloud, kubectl: Kubectl) -> None:
    home = cloud.home
    secret = [home / "secrets/master-key", home / "tls/ca.key", home / "tls/admin.key", home / "store/records.db",
              home / "credentials/storage-manager.json"]  # fmt: skip
    said = kubectl.say("exec", "key-manager-0", "--", "id", "-u", **WEBSOCKETS)
    assert said.code == 0, said
    assert int(said.out) == users(cloud)["key-manager-0"]
    for each in secret:
        said = kubectl.say("exec", "key-manager-0", "--", "cat", str(each), **WEBSOCKETS)
        assert said.code != 0 and not said.out, each
    said = kubectl.say("exec", "storage-manager-0", "--", "cat", str(home / "secrets/root-key"), **WEBSOCKETS)
    assert said.code != 0 and not said.out, "its manifest does not ask for it"
    said = kubectl.say("exec", "key-manager-0", "--", "sh", "-c", f"kill -0 {cloud.conductor_pid()}", **WEBSOCKETS)
    assert said.code != 0


def test_a_new_conductor_adopts_them_and_down_leaves_none(cloud: Cloud) -> None:
    before = cloud.instances()
    kill(cloud.conductor_pid())
    cloud.do("up")
    assert cloud.instances() == before
    assert json.loads(cloud.do("status", "-o", "json"))["ready"]
    cloud.do("down")
    assert cloud.processes() == []
    assert not list((cloud.home / "run" / "tmp").iterdir())
