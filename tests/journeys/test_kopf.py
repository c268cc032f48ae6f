"""A `kopf` operator, unmodified, owns a kind that somebody defined, and lives through what happens to a conductor.

Each handler runs exactly once for each change: while nothing happens, when the conductor is killed and comes back,
and when the operator was away for so long that the history it wants to go on from is compacted away (410).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from clouds import Cloud, eventually, forget_history

GROUP, VERSION = "light.example", "v1"
WHERE = (GROUP, VERSION, "default", "lamps")
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"lamps.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "lamps", "singular": "lamp", "kind": "Lamp"},
        "versions": [
            {
                "name": VERSION,
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                "subresources": {"status": {}},
            }
        ],
    },
}
OPERATOR = """
import json, os
import kopf

def note(*words):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps(words) + "\\n")

@kopf.on.create("light.example", "v1", "lamps")
def created(name, spec, patch, **_):
    note("created", name, spec["watts"])
    patch.status["lit"] = spec["watts"]

@kopf.on.update("light.example", "v1", "lamps", field="spec")
def updated(name, spec, patch, **_):
    note("updated", name, spec["watts"])
    patch.status["lit"] = spec["watts"]

@kopf.on.delete("light.example", "v1", "lamps")
def deleted(name, body, **_):
    note("deleted", name, 0)
    kopf.event(body, type="Normal", reason="Out", message="it is dark")
"""
GONE = "Restarting the watch-stream for lamps"  # what kopf writes when it is told 410, and only then


class Operator:
    """A running operator: its process, its log, and what its handlers noted."""

    def __init__(self, process: subprocess.Popen[str], notes: Path) -> None:
        self.process, self._notes = process, notes
        self.log: list[str] = []
        assert process.stderr is not None
        threading.Thread(target=self.log.extend, args=(process.stderr,), daemon=True).start()

    def ran(self) -> Counter[tuple[str, str, int]]:
        """Every run of a handler, by what it was, of which lamp, at how many watts."""
        text = self._notes.read_text() if self._notes.exists() else ""
        return Counter(tuple(json.loads(line)) for line in text.splitlines())


@pytest.fixture
def lamps(cloud: Cloud, tmp_path: Path) -> Any:
    (tmp_path / "kubeconfig").write_text(cloud.do("kubeconfig"))
    client = kubernetes.config.new_client_from_config(config_file=str(tmp_path / "kubeconfig"))
    kubernetes.client.ApiextensionsV1Api(client).create_custom_resource_definition(CRD)
    return kubernetes.client.CustomObjectsApi(client)


@pytest.fixture
def operator(lamps: Any, tmp_path: Path) -> Iterator[Operator]:
    (tmp_path / "operator.py").write_text(OPERATOR)
    command = [sys.executable, "-m", "kopf", "run", "--verbose", "--standalone", "-n", "default"]
    env = {"KUBECONFIG": str(tmp_path / "kubeconfig"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    process = subprocess.Popen(
        [*command, str(tmp_path / "operator.py")],
        env={**env, "NOTES": str(tmp_path / "notes")},
        stderr=subprocess.PIPE,
        text=True,
    )
    yield Operator(process, tmp_path / "notes")
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(60)


def lamp(name: str, watts: int) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Lamp", "metadata": {"name": name}, "spec": {"watts": watts}}


def restart(cloud: Cloud) -> None:
    os.kill(cloud.conductor_pid(), signal.SIGKILL)
    cloud.do("up")


def restart_without_history(cloud: Cloud) -> None:
    os.kill(cloud.conductor_pid(), signal.SIGKILL)
    eventually(lambda: not (Path("/proc") / str(cloud.conductor_pid())).exists(), "the conductor is gone")
    forget_history(cloud)
    cloud.do("up")


def test_each_handler_runs_once_for_each_change(cloud: Cloud, lamps: Any, operator: Operator) -> None:
    wanted: Counter[tuple[str, str, int]] = Counter()

    def change(what: str, name: str, watts: int = 0) -> None:
        wanted[what, name, watts] += 1
        if what == "created":
            lamps.create_namespaced_custom_object(*WHERE, lamp(name, watts))
        elif what == "updated":
            lamps.patch_namespaced_custom_object(*WHERE, name, {"spec": {"watts": watts}})
        else:
            lamps.delete_namespaced_custom_object(*WHERE, name)

    def all_is_done() -> bool:
        there = lamps.list_namespaced_custom_object(*WHERE)["items"]
        lit = all(each.get("status", {}).get("lit") == each["spec"]["watts"] for each in there)
        dying = any(each["metadata"].get("deletionTimestamp") for each in there)
        return lit and not dying and operator.ran() == wanted

    def settle(what: str) -> None:
        try:
            eventually(all_is_done, what)
        except AssertionError as late:
            missing, more = wanted - operator.ran(), operator.ran() - wanted
            raise AssertionError(f"{late}; missing {missing}, too often {more}; {operator.log[-5:]}") from late

    for number in range(4):
        change("created", f"lamp-{number}", 5)
    settle("new lamps are lit")
    assert lamps.get_namespaced_custom_object(*WHERE, "lamp-0")["metadata"]["finalizers"]

    restart(cloud)
    for number in range(4):
        change("updated", f"lamp-{number}", 7)
    settle("a conductor that comes back finds its operator")
    assert not any(GONE in line for line in operator.log)

    operator.process.send_signal(signal.SIGSTOP)
    restart(cloud)  # ends the operator's watches: what comes now it has not heard
    change("created", "lamp-4", 5)
    change("updated", "lamp-0", 9)
    change("deleted", "lamp-1")
    restart_without_history(cloud)
    operator.process.send_signal(signal.SIGCONT)
    settle("an operator that was away finds out what it missed")
    assert any(GONE in line for line in operator.log), "it was told 410"

    for name in ("lamp-0", "lamp-2", "lamp-3", "lamp-4"):
        change("deleted", name)
    settle("the operator lets them go")
    events = kubernetes.client.CoreV1Api(lamps.api_client).list_namespaced_event

    def told() -> list[str]:
        items = events("default", field_selector="involvedObject.kind=Lamp,involvedObject.name=lamp-4").items
        return [each.reason for each in items if each.reason == "Out"]

    # kopf posts events beside its work: the lamp may be gone first.
    eventually(lambda: told() == ["Out"], "the event of the last handler arrives")
