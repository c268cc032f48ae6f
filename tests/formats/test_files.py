"""Records of running processes, and an agent's identity: as the first version wrote them, and with fields to come."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.identity import IdentityFile
from controller.runtime.process import state_files
from controller.runtime.process.processes import boot_id
from crds.kinds.service import SERVICE

FIRST = Path(__file__).parent / "first"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    state_files.folder(tmp_path).mkdir(parents=True)
    return tmp_path


def kept(home: Path, **more: Any) -> Path:
    """The first version's record, as if written since this machine started."""
    content = json.loads((FIRST / "instance.json").read_text()) | {"boot": boot_id(), "pid": os.getpid()} | more
    file = state_files.folder(home) / "web-0.json"
    file.write_text(json.dumps(content))
    return file


def test_a_process_of_the_first_version_is_known(home: Path) -> None:
    kept(home)
    (record,) = state_files.read_all(home)
    assert (record.instance, record.pid, record.port) == ("web-0", os.getpid(), 4711)
    workload = record.workload
    assert workload.key == SERVICE.key("web", "default") and workload.command == ("sleep", "600")


def test_a_process_of_a_newer_version_is_known_by_what_both_know(home: Path) -> None:
    first = json.loads((FIRST / "instance.json").read_text())
    kept(home, version=state_files.VERSION + 1, cgroup="/x", wish=first["wish"] | {"affinity": {"zone": "a"}})
    (record,) = state_files.read_all(home)
    assert record.workload.command == ("sleep", "600")


def test_a_process_whose_record_says_too_little_is_reported_not_forgotten(home: Path) -> None:
    file = kept(home, wish={"everything": "else"})
    assert state_files.read_all(home) == []
    (unreadable,) = state_files.read_unreadable(home)
    assert (unreadable.instance, unreadable.pid) == ("web-0", os.getpid()) and file.exists()


def test_an_identity_of_the_first_version_and_of_a_newer_one(tmp_path: Path) -> None:
    file = Path(shutil.copy(FIRST / "identity.json", tmp_path / "identity.json"))
    identity = IdentityFile(file).load()
    assert identity is not None and (identity.worker, identity.client_id) == ("oak", "worker:oak")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 9, "certificate": "x"}))
    assert IdentityFile(file).load() == identity
    IdentityFile(file).save(identity)
    assert json.loads(file.read_text())["version"] == 1
