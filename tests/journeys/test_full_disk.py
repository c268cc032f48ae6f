"""The home's disk fills up, a service dies meanwhile, and there is room again: nobody starts anything by hand."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import Cloud, Said, a_port, eventually, kill


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud whose home has 40 MiB: too little to keep some of it for later."""
    yield from on_a_disk_of("40m", tmp_path)


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud whose home has 300 MiB."""
    yield from on_a_disk_of("300m", tmp_path)


def on_a_disk_of(size: str, tmp_path: Path) -> Iterator[Cloud]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", home]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    cloud = Cloud(home, a_port())
    yield cloud
    cloud.command("down")
    subprocess.run(["umount", "-l", home], check=True)


@pytest.fixture(params=["64k", "300k"])
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    """A cloud whose home has no room for a cloud, or for the first of its records alone."""
    yield from on_a_disk_of(request.param, tmp_path)


def fill(home: Path) -> None:
    """Takes all the room there is, the last block too."""
    with (home / "fill").open("ab", buffering=0) as filling:
        for size in (1 << 20, 4096, 1):
            try:
                while filling.write(b"x" * size):
                    pass
            except OSError:
                continue


def make(cloud: Cloud, name: str) -> Said:
    """A ConfigMap of 100 kB."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"large": "x" * 100_000}}
    return cloud.command("apply", "-f", "-", text=json.dumps(body))


def test_a_cloud_that_finds_no_room_at_its_founding_says_so(tiny: Cloud) -> None:
    refused = tiny.command("up")
    assert refused.code == 1 and "no space left" in refused.err.lower(), refused
    assert "Traceback" not in refused.err and "try:" in refused.err


def test_a_full_disk_is_survived_and_explained(cramped: Cloud) -> None:
    cramped.do("up")
    conductor, instances = cramped.conductor_pid(), cramped.instances()
    name = next(each for each in instances if "key-manager" in each)
    fill(cramped.home)
    kill(instances[name])
    eventually(lambda: instances[name] not in cramped.processes(), "the killed instance is gone")

    def refused() -> str:
        fill(cramped.home)  # what ended gave some room back
        return make(cramped, f"n{os.urandom(4).hex()}").err

    said = eventually(refused, "a write is refused")
    assert "no space left on" in said.lower(), said
    answered = cramped.command("status")
    assert "key-manager" in answered.out, answered
    assert cramped.get("namespaces", "default")["metadata"]["name"] == "default"

    (cramped.home / "fill").unlink()
    eventually(lambda: cramped.instances().get(name, instances[name]) != instances[name], "it is started anew")
    eventually(lambda: cramped.is_ready("key-manager"), "the service is ready again")
    assert make(cramped, "there-is-room").code == 0
    assert cramped.conductor_pid() == conductor, "the same conductor all the time"


def findings(cloud: Cloud) -> list[str]:
    return [each["code"] for each in json.loads(cloud.command("status", "-o", "json").out)["findings"]]


def reasons(cloud: Cloud) -> set[str]:
    found = json.loads(cloud.do("get", "events", "-o", "json"))["items"]
    return {each["reason"] for each in found if each["source"]["component"] == "conductor"}


def test_there_is_room_to_delete_on_a_full_disk(roomy: Cloud) -> None:
    roomy.do("up")
    reserve = roomy.home / "store" / "reserve"
    eventually(lambda: reserve.exists() and reserve.stat().st_size == 16 << 20, "some room is kept")
    assert make(roomy, "kept").code == 0
    fill(roomy.home)
    eventually(lambda: reserve.stat().st_size == 0, "it is given back")
    eventually(lambda: "DiskFull" in reasons(roomy), "it is told")
    # Until the room that is given back is there, the audit log cannot be written, and that is said instead.
    new = "only changes and deletions"
    eventually(lambda: new in make(roomy, f"n{os.urandom(4).hex()}").err, "nothing new is taken")
    assert "StoreReadOnly" in findings(roomy)

    kill(roomy.conductor_pid())
    roomy.do("up")
    assert reserve.stat().st_size == 0
    eventually(lambda: "only changes" in make(roomy, f"n{os.urandom(4).hex()}").err, "the next one knows it too")
    roomy.do("delete", "configmap", "kept")
    assert roomy.command("get", "configmap", "kept").code != 0

    (roomy.home / "fill").unlink()
    eventually(lambda: reserve.stat().st_size == 16 << 20, "some room is kept again")
    eventually(lambda: "DiskSpaceAvailable" in reasons(roomy), "that is told too")
    assert make(roomy, "there-is-room").code == 0
    assert "StoreReadOnly" not in findings(roomy)
