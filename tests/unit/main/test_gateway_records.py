"""Records of gateways: whose process they mean, and what cannot be read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.main.gateway_records import GatewayRecord, read_gateways, stop_gateways, write_gateways
from controller.runtime.process.processes import boot_id, start_ticks

COMMAND = ("python", "-m", "api.gateway", "--port", "8443")


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for each in started:
        each.kill()
        each.wait()


def a_process(processes: list[subprocess.Popen[bytes]], *command: str) -> GatewayRecord:
    processes.append(subprocess.Popen(command or ("sleep", "600"), stdout=subprocess.PIPE))
    pid = processes[-1].pid
    return GatewayRecord(len(processes) - 1, pid, start_ticks(pid) or 0, boot_id(), 8443, COMMAND, "0.2.0")


def test_those_that_live_are_found_again(tmp_path: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    gateways = [a_process(processes), a_process(processes)]
    write_gateways(tmp_path, gateways)
    assert read_gateways(tmp_path) == gateways
    processes[0].kill()
    processes[0].wait()
    assert read_gateways(tmp_path) == gateways[1:]


def test_another_process_of_the_same_number_is_not_ours(
    tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    ours = a_process(processes)
    for other in (
        replace(ours, ticks=ours.ticks + 1),
        replace(ours, boot="another boot"),
    ):
        write_gateways(tmp_path, [other])
        assert read_gateways(tmp_path) == [] and stop_gateways(tmp_path) == []
    assert processes[0].poll() is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version": 2, "gateways": []}', '{"version": 1, "gateways": [{"pid": 1}]}', "\udcff"],
)
def test_what_cannot_be_read_is_nobodys(tmp_path: Path, text: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "gateways.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_gateways(tmp_path) == []


def test_one_field_more_is_no_hindrance(tmp_path: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    gateways = [a_process(processes)]
    write_gateways(tmp_path, gateways)
    file = tmp_path / "run" / "gateways.json"
    kept = json.loads(file.read_text())
    kept["gateways"][0]["later"] = kept["later"] = True
    file.write_text(json.dumps(kept))
    assert read_gateways(tmp_path) == gateways


def test_who_does_not_end_is_killed(tmp_path: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    stubborn = a_process(processes, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
    assert processes[0].stdout is not None and processes[0].stdout.readline() == b"ready\n"
    write_gateways(tmp_path, [stubborn])
    assert stop_gateways(tmp_path, grace_seconds=0.2) == [stubborn.pid]
    assert processes[0].wait(10) == -9 and read_gateways(tmp_path) == []
    assert stop_gateways(tmp_path) == []
