"""Managed services are children of one fork server: walled in, seen, healed and adopted like any other process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from clouds import Cloud, eventually, kill

MOST_PRIVATE_BYTES = 25 * 2**20
SERVICES = ("key-manager-0", "storage-manager-0")


def fork_server(cloud: Cloud) -> int:
    """Its pid, once there is one."""
    return eventually(lambda: another_than(0, cloud), "a fork server")


def another_than(old: int, cloud: Cloud) -> int:
    """0 while there is none."""
    for each in psutil.Process(cloud.conductor_pid()).children():
        with suppress(psutil.Error):
            if each.pid != old and each.cmdline()[-1:] == ["controller.runtime.forking.server"]:
                return each.pid
    return 0


def private_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(each.split()[1]) * 1024 for each in lines if each.startswith("Private_"))


def replaced(cloud: Cloud, instance: str) -> int:
    """Killed, until there is another one, which is ready. Its pid."""
    before = cloud.instances()[instance]
    kill(before)
    eventually(lambda: cloud.instances().get(instance) not in (None, before), f"{instance} anew")
    eventually(lambda: cloud.is_ready(instance.removesuffix("-0")), f"{instance} is Ready again")
    return cloud.instances()[instance]


def test_each_service_is_a_fork_with_a_name_a_user_and_little_memory_of_its_own(cloud: Cloud) -> None:
    server = fork_server(cloud)
    for instance in SERVICES:
        process = psutil.Process(cloud.instances()[instance])
        assert process.ppid() == server
        assert process.cmdline() == ["python", "-P", "-m", "services.sdk.run", instance]
        assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
        assert f"AEREKOS_INSTANCE={instance}" in Path(f"/proc/{process.pid}/environ").read_text().split("\0")
        assert private_bytes(process.pid) <= MOST_PRIVATE_BYTES
    users = {psutil.Process(cloud.instances()[instance]).uids().real for instance in SERVICES}
    assert os.geteuid() != 0 or (len(users) == 2 and 0 not in users)


def test_its_memory_holds_no_secret(cloud: Cloud) -> None:
    """Whatever it had in its memory, every service would have in its own."""
    home = cloud.home
    wanted = {each.name: each.read_bytes() for each in (home / "secrets").iterdir() if each.is_file()}
    wanted |= {line.decode(): line for line in (home / "secrets" / "root-key").read_bytes().split() if len(line) > 20}
    for file in (home / "credentials").glob("*.json"):
        wanted[file.name] = json.loads(file.read_text())["clientSecret"].encode()
    wanted["server.key"] = (home / "tls" / "server.key").read_bytes().splitlines()[1]
    memory = b"".join(memory_of(fork_server(cloud)))
    assert b"services.sdk.run" in memory, "it was read at all"
    assert [name for name, secret in wanted.items() if secret in memory] == []


def memory_of(pid: int) -> Iterator[bytes]:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_, name = line.split(maxsplit=5) if len(line.split()) > 5 else [*line.split(), ""]
            if rights.startswith("rw") and not name.startswith("[v"):
                start, end = (int(each, 16) for each in span.split("-"))
                memory.seek(start)
                yield memory.read(end - start)


def test_a_server_that_is_killed_is_begun_again_and_no_service_ends(cloud: Cloud) -> None:
    before, old = cloud.instances(), fork_server(cloud)
    kill(old)
    new = eventually(lambda: another_than(old, cloud), "another fork server")
    assert cloud.instances() == before
    pid = replaced(cloud, "key-manager-0")
    assert psutil.Process(pid).ppid() == new
    assert cloud.instances()["storage-manager-0"] == before["storage-manager-0"]
    crashed = eventually(
        lambda: [each for each in cloud.events("Crashed") if str(before["key-manager-0"]) in each], "it is told"
    )
    assert crashed[-1].endswith("what started it is gone)")


def test_a_killed_conductor_takes_its_server_along_and_leaves_the_services(cloud: Cloud) -> None:
    before, old = cloud.instances(), psutil.Process(fork_server(cloud))
    kill(cloud.conductor_pid())
    eventually(lambda: not old.is_running(), "it ends with its conductor")
    cloud.do("up")
    assert cloud.instances() == before
    assert psutil.Process(replaced(cloud, "storage-manager-0")).ppid() == fork_server(cloud)
    assert cloud.instances()["key-manager-0"] == before["key-manager-0"]


@pytest.mark.parametrize("first", ["conductor", "server"])
def test_a_cloud_that_goes_down_leaves_nothing(cloud: Cloud, first: str) -> None:
    if first == "conductor":
        kill(cloud.conductor_pid())
    else:
        kill(fork_server(cloud))
    cloud.do("down")
    assert eventually(lambda: not cloud.processes(), "nothing of it runs")
    cloud.do("up")
