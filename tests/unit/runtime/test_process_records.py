"""Records of running processes that another version wrote: read as far as possible, and never forgotten."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.identity import IdentityFile
from controller.runtime.driver import Workload
from controller.runtime.process import state_files
from controller.runtime.process.logfiles import log_path
from controller.runtime.process.process_host import LocalProcessHost
from controller.runtime.process.processes import boot_id, start_ticks
from controller.runtime.process.state_files import InstanceRecord
from crds.kinds.service import SERVICE


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that ends when it is told to."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    yield child
    child.kill()
    child.wait()


def written(home: Path, pid: int, **changes: Any) -> InstanceRecord:
    """A record of that process, with what another version made of it."""
    wish = Workload(SERVICE.key("web", "default"), uid="u", revision="r1", replicas=1, command=("sleep", "1"))
    ticks = start_ticks(pid)
    assert ticks is not None
    record = InstanceRecord("web-0", pid, ticks, boot_id(), 4000, datetime(2026, 1, 1, tzinfo=UTC), wish)
    state_files.write(home, record)
    file = state_files.folder(home) / "web-0.json"
    content = json.loads(file.read_bytes())
    for name, value in changes.items():
        content[name] = {**content[name], **value} if isinstance(value, dict) and name in content else value
    file.write_text(json.dumps(content))
    return record


def test_what_a_newer_version_added_is_passed_over(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    newer = {"nice": 3, "limits": {"memory": None, "cpu_seconds": None, "gpus": 1}}
    record = written(tmp_path, process.pid, version=2, cgroup="x", wish=newer)
    (read,) = state_files.read_all(tmp_path)
    assert (read.pid, read.port, read.workload.key, read.workload.command) == (
        record.pid,
        4000,
        record.workload.key,
        ("sleep", "1"),
    )
    assert [child.pid for _, child in LocalProcessHost(tmp_path).adopt()] == [process.pid]


@pytest.mark.parametrize("changes", [{"wish": {"key": 7}}, {"started_at": "yesterday"}, {"more_ports": [1]}])
def test_who_cannot_be_adopted_is_ended_and_not_forgotten(
    tmp_path: Path, process: subprocess.Popen[bytes], changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, process.pid, **changes)
    assert state_files.read_all(tmp_path) == [] and [each.pid for each in state_files.read_unreadable(tmp_path)] == [
        process.pid
    ]
    host = LocalProcessHost(tmp_path)
    assert host.end_unreadable() == ["web-0"] and host.adopt() == []
    assert process.poll() is not None or psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert not list(state_files.folder(tmp_path).iterdir()), "so that it is started again"
    assert "web-0" in capsys.readouterr().out


def test_a_pid_that_is_another_process_now_is_left_alone(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    written(tmp_path, process.pid, wish={"key": 7}, ticks=1)
    LocalProcessHost(tmp_path).end_unreadable()
    assert process.poll() is None
    assert not list(state_files.folder(tmp_path).iterdir())


@pytest.fixture
def logging(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One whose output goes to the log of `web-0`."""
    log = log_path(tmp_path, "web-0")
    log.parent.mkdir(parents=True)
    with log.open("wb") as out:
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        child = subprocess.Popen(command, start_new_session=True, stdout=out)
    yield child
    child.kill()
    child.wait()


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b"\xff\x00", b'{"instance": "web-0"}'])
def test_a_process_of_a_damaged_record_is_found_by_its_log(
    tmp_path: Path, logging: subprocess.Popen[bytes], damaged: bytes
) -> None:
    state_files.folder(tmp_path).mkdir(parents=True)
    file = state_files.folder(tmp_path) / "web-0.json"
    file.write_bytes(damaged)
    (found,) = state_files.read_unreadable(tmp_path)
    assert (found.instance, found.pid, found.ticks) == ("web-0", logging.pid, start_ticks(logging.pid))
    assert LocalProcessHost(tmp_path).end_unreadable() == ["web-0"]
    assert start_ticks(logging.pid) is None and not file.exists()


def test_a_damaged_record_of_nobody_is_removed(tmp_path: Path) -> None:
    state_files.folder(tmp_path).mkdir(parents=True)
    file = state_files.folder(tmp_path) / "web-0.json"
    file.write_bytes(b"{")
    assert LocalProcessHost(tmp_path).end_unreadable() == [] and not file.exists()


def test_what_an_agent_keeps_is_read_after_a_rollback(tmp_path: Path) -> None:
    file = tmp_path / "identity.json"
    kept = {"worker": "a", "client_id": "worker:a", "client_secret": "s", "ca": "", "rotated_at": "2027"}
    file.write_text(json.dumps(kept))
    found = IdentityFile(file).load()
    assert found is not None and found.client_secret == "s"
    for damaged in ("[]", '{"worker": "a"}', "{"):
        file.write_text(damaged)
        with pytest.raises(ValueError, match="is damaged"):
            IdentityFile(file).load()
