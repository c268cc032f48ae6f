"""Measuring services: real processes of this test, recorded as the process runtime records them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.service_usage import CHILDREN_EVERY_SECONDS, ServiceMeter

BURN = """
import sys
print("x", flush=True)
for line in sys.stdin:
    sum(range(20_000_000))
    print("done", flush=True)
"""
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"


class Tick:
    """One second passes whenever the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def started(program: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    try:
        yield child
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.wait(60)


def work(child: subprocess.Popen[str]) -> None:
    """Let it (or its child, which inherits its pipes) burn some CPU, and wait until it has."""
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write("go\n")
    child.stdin.flush()
    assert child.stdout.readline() == "done\n"


def record(folder: Path, name: str, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / f"{name}.json").write_text(text)


def test_a_service_is_measured_with_its_children(tmp_path: Path) -> None:
    clock = Tick()
    with started(PARENT) as child:
        record(tmp_path, "web-0", {"pid": child.pid, "port": 1})
        meter = ServiceMeter(tmp_path, clock)
        first = meter.measure()["web-0"]
        assert first["cpu"] == 0.0, "its past is no part of this beat"
        alone = psutil.Process(child.pid).memory_info().rss
        assert first["memory"] > alone, "its child counts too"
        work(child)
        clock.now += 1
        assert 0.05 < meter.measure()["web-0"]["cpu"] < 30
        clock.now += 1
        assert meter.measure()["web-0"]["cpu"] < 0.05


def test_a_child_found_late_brings_none_of_its_past(tmp_path: Path) -> None:
    clock = Tick()
    with started(BURN) as busy:
        record(tmp_path, "me-0", {"pid": os.getpid()})
        meter = ServiceMeter(tmp_path, clock)
        meter._families = {os.getpid(): [psutil.Process()]}  # as found before the child was there
        meter._looked_for, meter._found_at = {os.getpid()}, clock.now
        clock.now += CHILDREN_EVERY_SECONDS - 1
        meter.measure()
        for _ in range(3):
            work(busy)
        mine = sum(psutil.Process().cpu_times()[:2])
        clock.now += 1
        seen = meter.measure()["me-0"]["cpu"]
        spent = sum(psutil.Process(busy.pid).cpu_times()[:2])
        assert seen < spent + mine
        assert seen < spent, "the child's three rounds of work are not this beat's"


def test_what_ends_is_left_out(tmp_path: Path) -> None:
    clock = Tick()
    with started(BURN) as child:
        record(tmp_path, "web-0", {"pid": child.pid})
        meter = ServiceMeter(tmp_path, clock)
        assert set(meter.measure()) == {"web-0"}
    clock.now += 1
    assert meter.measure().get("web-0", {"cpu": 0.0, "memory": 0}) == {"cpu": 0.0, "memory": 0}
    (tmp_path / "web-0.json").unlink()
    assert meter.measure() == {}


@pytest.mark.parametrize("pid", ['"x"', "null", "-1", "0", "4194305", "[1]", "1e400", "1" * 30, "true"])
def test_a_record_that_makes_no_sense_hides_no_other(tmp_path: Path, pid: str) -> None:
    record(tmp_path, "bad-0", f'{{"pid": {pid}}}')
    for n, content in enumerate(("", "{", "[]", "7", "{}", "null")):
        record(tmp_path, f"worse-{n}", content)
    record(tmp_path, "good-0", {"pid": os.getpid()})
    assert set(ServiceMeter(tmp_path).measure()) == {"good-0"}


def test_a_folder_that_is_not_there_has_no_services(tmp_path: Path) -> None:
    assert ServiceMeter(tmp_path / "missing").measure() == {}


@pytest.mark.parametrize("fault", [OSError("gone"), psutil.AccessDenied(1)], ids=repr)
@pytest.mark.parametrize("name", ["ppid", "cpu_times", "memory_info"])
def test_a_system_that_refuses_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: Exception
) -> None:
    record(tmp_path, "me-0", {"pid": os.getpid()})

    def refuse(*_: Any, **__: Any) -> Any:
        raise fault

    refusing = type(psutil.Process()._proc)  # the system's own side
    monkeypatch.setattr(refusing, name, refuse)
    for _ in range(2):
        measured = ServiceMeter(tmp_path).measure()
        assert measured.get("me-0", {}).get("cpu", 0.0) == 0.0


def test_children_are_looked_for_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a record names a process that is gone."""
    clock, looked = Tick(), []
    real = psutil.process_iter
    monkeypatch.setattr(psutil, "process_iter", lambda: looked.append(1) or real())
    record(tmp_path, "me-0", {"pid": os.getpid()})
    record(tmp_path, "gone-0", {"pid": 4194304})
    meter = ServiceMeter(tmp_path, clock)
    for _ in range(int(CHILDREN_EVERY_SECONDS)):
        meter.measure()
        clock.now += 1
    assert len(looked) == 1
    meter.measure()
    assert len(looked) == 2
