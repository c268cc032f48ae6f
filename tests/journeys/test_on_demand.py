"""A service on demand: asleep until the first request, which is answered by it; asleep again when nobody asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from clouds import REPOSITORY, Cloud, eventually, kill

SERVICE = {
    "apiVersion": "aerekos.cloud/v1",
    "kind": "Service",
    "metadata": {"name": "notes-manager", "namespace": "default"},
    "spec": {"managed": "notes_manager", "activation": "onDemand", "idleSeconds": 10},
}
NOTE = {
    "apiVersion": "aerekos.cloud/v1",
    "kind": "Note",
    "metadata": {"name": "milk", "namespace": "default"},
    "spec": {"text": "buy some milk"},
}
NOTES = "notes-manager-0"


def is_asleep(cloud: Cloud) -> bool:
    phase = cloud.get("services", "notes-manager")["status"].get("phase")
    return phase == "ScaledToZero" and NOTES not in cloud.instances()


def apply(cloud: Cloud, folder: Path, document: object) -> None:
    (folder / "it.json").write_text(json.dumps(document))
    cloud.do("apply", "-f", str(folder / "it.json"))


def test_the_first_request_starts_it_its_resources_keep_it_awake_and_it_sleeps_again(
    new_cloud: Callable[..., Cloud], tmp_path: Path
) -> None:
    cloud = new_cloud()
    said = cloud.command("up", AEREKOS_SERVICES_PATH=str(REPOSITORY / "examples"))
    assert said.code == 0, said
    apply(cloud, tmp_path, SERVICE)
    eventually(lambda: is_asleep(cloud), "nobody asks for it")
    with cloud.http() as client:
        assert client.get("/health/report").json()["verdict"] == "Well"
        answer = client.get("/services/notes-manager/search", params={"contains": "milk"}, timeout=30)
        assert (answer.status_code, answer.json()) == (200, {"notes": []})
        assert NOTES in cloud.instances()
        eventually(lambda: is_asleep(cloud), "it sleeps again")

        apply(cloud, tmp_path, NOTE)
        words = eventually(lambda: cloud.get("notes", "milk").get("status", {}).get("words"), "its reconciler works")
        assert words == 3
        before = cloud.instances()[NOTES]
        kill(cloud.conductor_pid())
        cloud.do("up")
        assert cloud.instances()[NOTES] == before, "awake, and adopted"
        cloud.do("delete", "notes", "milk")
        eventually(lambda: is_asleep(cloud), "nothing is left to do")
        assert client.get("/services/notes-manager/search", timeout=30).status_code == 200
