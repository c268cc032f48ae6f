"""A second machine joins with a token: an agent in a process and a home of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clouds import REPOSITORY, Cloud, eventually, kill


@contextmanager
def agent(cloud: Cloud, name: str, home: Path, token: str = "") -> Iterator[subprocess.Popen[str]]:
    """`aerekos-agent` for the worker `name`. Each test has a name of its own: a lease outlives its agent."""
    command = [sys.executable, "-m", "agent.main", "--api", f"https://127.0.0.1:{cloud.port}", "--name", name]
    command += ["--home", str(home), "--labels", "rack=b", *(["--token", token] if token else [])]
    running = subprocess.Popen(command, env=cloud.env, cwd=REPOSITORY, text=True, stderr=subprocess.PIPE)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def worker(cloud: Cloud, name: str) -> dict[str, Any]:
    found = [each for each in cloud.get("workers")["items"] if each["metadata"]["name"] == name]
    return found[0] if found else {}


def ready(cloud: Cloud, name: str) -> str:
    conditions = worker(cloud, name).get("status", {}).get("conditions", [])
    return next((each["status"] for each in conditions if each["type"] == "Ready"), "")


def a_token(cloud: Cloud) -> str:
    words = [word.rpartition("=")[2] for word in cloud.do("token", "create").split()]
    return next(word for word in words if word.count(".") == 2 and len(word) > 60)


def test_it_joins_goes_missing_and_returns(cloud: Cloud, tmp_path: Path) -> None:
    with agent(cloud, "walker", tmp_path, a_token(cloud)):
        eventually(lambda: ready(cloud, "walker") == "True", "it is Ready")
        joined = worker(cloud, "walker")
        assert joined["metadata"]["labels"]["rack"] == "b"
        assert float(joined["status"]["capacity"]["cpu"]) > 0
    eventually(lambda: ready(cloud, "walker") == "False", "three beats were missed")
    assert any("walker is NotReady" in each for each in cloud.events("WorkerNotReady"))
    with agent(cloud, "walker", tmp_path):  # its identity is in its home: no token a second time
        eventually(lambda: ready(cloud, "walker") == "True", "it is back")
        kill(cloud.conductor_pid())
        cloud.do("up")
        eventually(lambda: "walker" in leases(cloud), "it found the new conductor")
        assert ready(cloud, "walker") == "True"


def leases(cloud: Cloud) -> list[str]:
    """Who was heard since this conductor began: leases live in its memory only."""
    with cloud.http() as client:
        return [each["worker"] for each in client.get("/agents/leases").json()["leases"]]


def test_nothing_is_placed_where_the_process_runtime_cannot_reach(cloud: Cloud, tmp_path: Path) -> None:
    with agent(cloud, "far", tmp_path, a_token(cloud)):
        eventually(lambda: ready(cloud, "far") == "True", "it is Ready")
        cloud.do("scale", "key-manager", "--replicas", "2")
        eventually(lambda: len(placed(cloud)) == 2, "two instances")
        assert "far" not in placed(cloud)
        refusals = cloud.get("services", "key-manager")["status"]["refusals"]
        assert "far" in [each["worker"] for each in refusals]


def placed(cloud: Cloud) -> list[str]:
    return [each["worker"] for each in cloud.get("services", "key-manager")["status"]["instances"] if each["ready"]]


def test_a_token_works_once_and_a_forged_one_never(cloud: Cloud, tmp_path: Path) -> None:
    token = a_token(cloud)
    with agent(cloud, "once", tmp_path / "one", token):
        eventually(lambda: ready(cloud, "once") == "True", "joined")
    for given, where in ((token, "two"), (forged(token), "three"), ("x.y", "four")):
        with agent(cloud, where, tmp_path / where, given) as refused:
            assert refused.wait(60) == 1
            assert refused.stderr and "token" in refused.stderr.read()
        assert not worker(cloud, where)


def forged(token: str) -> str:
    name, secret, pin = token.split(".")
    return f"{name}.{secret[::-1]}.{pin}"


def test_a_deleted_worker_must_be_asked_in_again(cloud: Cloud, tmp_path: Path) -> None:
    with agent(cloud, "gone", tmp_path, a_token(cloud)) as running:
        eventually(lambda: ready(cloud, "gone") == "True", "joined")
        cloud.do("delete", "worker", "gone")
        assert running.wait(60) == 1
        assert running.stderr and "token create" in running.stderr.read()
    assert not worker(cloud, "gone")


def test_the_conductors_own_worker_cannot_be_lost(cloud: Cloud) -> None:
    own = socket.gethostname().split(".")[0].lower()
    uid = worker(cloud, own)["metadata"]["uid"]
    another = {"apiVersion": "aerekos.cloud/v1", "kind": "Worker", "metadata": {"name": "another"}}
    cloud.do("apply", "-f", "-", text=json.dumps(another))  # the last worker may not be deleted at all
    for words in (("worker", "remove", own), ("delete", "worker", own)):
        said = cloud.command(*words)
        assert said.code == 1 and "this machine is the cloud" in said.err
    assert not worker(cloud, own)["spec"].get("unschedulable")
    labels = {"metadata": {"labels": {"aerekos.cloud/conductor": None}}}
    with cloud.http() as client:
        path = f"/apis/aerekos.cloud/v1/workers/{own}"
        client.patch(path, json=labels, headers={"content-type": "application/merge-patch+json"}).raise_for_status()
    cloud.do("delete", "worker", own)  # whoever insists gets it anew
    eventually(lambda: worker(cloud, own).get("metadata", {}).get("uid") not in (None, uid), "it is made again")
    eventually(lambda: ready(cloud, own) == "True", "and Ready")
