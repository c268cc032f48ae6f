"""The Python `kubernetes` client and a `kopf` operator, both unmodified, against a real cloud over TLS."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from clouds import Cloud, eventually
from kubernetes.client.rest import ApiException

GROUP, VERSION = "light.example", "v1"
LAMP = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Lamp", "metadata": {"name": "desk"}, "spec": {"watts": 5}}
OPERATOR = """
import kopf

@kopf.on.create("light.example", "v1", "lamps")
@kopf.on.update("light.example", "v1", "lamps")
def lit(spec, patch, **_):
    patch.status["lit"] = spec["watts"]

@kopf.on.delete("light.example", "v1", "lamps")
def out(body, **_):
    kopf.event(body, type="Normal", reason="Out", message="it is dark")
"""


@pytest.fixture(scope="module")
def config(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kube") / "config"
    path.write_text(cloud.do("kubeconfig"))
    return path


@pytest.fixture(scope="module")
def client(config: Path) -> Any:
    return kubernetes.config.new_client_from_config(config_file=str(config))


@pytest.fixture(scope="module")
def lamps(client: Any) -> Any:
    """A kind of our own; the API of its resources."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    names = {"plural": "lamps", "singular": "lamp", "kind": "Lamp"}
    spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"lamps.{GROUP}"},
        "spec": spec,
    }
    made = kubernetes.client.ApiextensionsV1Api(client).create_custom_resource_definition(body)
    assert made.metadata.uid
    return kubernetes.client.CustomObjectsApi(client)


def test_custom_objects_live_a_whole_life(lamps: Any) -> None:
    where = (GROUP, VERSION, "default", "lamps")
    lamps.create_namespaced_custom_object(*where, {**LAMP, "metadata": {"name": "one"}})
    patched = lamps.patch_namespaced_custom_object(*where, "one", {"spec": {"watts": 6}})
    assert patched["spec"]["watts"] == 6
    told = lamps.patch_namespaced_custom_object_status(*where, "one", {"status": {"on": True}})
    assert told["status"] == {"on": True}
    stale = {**told, "metadata": {**told["metadata"], "resourceVersion": "1"}}
    with pytest.raises(ApiException) as refused:
        lamps.replace_namespaced_custom_object(*where, "one", stale)
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")
    lamps.delete_namespaced_custom_object(*where, "one")
    with pytest.raises(ApiException) as gone:
        lamps.get_namespaced_custom_object(*where, "one")
    assert gone.value.status == 404


def test_typed_kinds_are_read_and_written(client: Any) -> None:
    core = kubernetes.client.CoreV1Api(client)
    meta = kubernetes.client.V1ObjectMeta(name="typed")
    secret = kubernetes.client.V1Secret(metadata=meta, string_data={"p": "q"})
    assert core.create_namespaced_secret("default", secret).data == {"p": "cQ=="}
    assert core.delete_namespaced_secret("typed", "default").status == "Success"
    assert [each.metadata.name for each in core.list_node().items]
    pods = core.list_namespaced_pod("default", label_selector="aerekos.cloud/service=key-manager").items
    assert [pod.metadata.name for pod in pods] == ["key-manager-0"]
    assert core.read_namespaced_pod_log("key-manager-0", "default", tail_lines=1)
    deployment = kubernetes.client.AppsV1Api(client).read_namespaced_deployment("key-manager", "default")
    assert deployment.status.ready_replicas == 1


def test_a_list_in_pages_is_whole(client: Any) -> None:
    core = kubernetes.client.CoreV1Api(client)
    for number in range(5):
        meta = kubernetes.client.V1ObjectMeta(name=f"page-{number}", labels={"page": "yes"})
        core.create_namespaced_config_map("default", kubernetes.client.V1ConfigMap(metadata=meta))
    names: list[str] = []
    token = None
    while True:
        page = core.list_namespaced_config_map("default", label_selector="page", limit=2, _continue=token)
        names += [each.metadata.name for each in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{number}" for number in range(5)]
    core.delete_collection_namespaced_config_map("default", label_selector="page")


def test_a_watch_tells_everything_and_ends_in_time(lamps: Any) -> None:
    where = (GROUP, VERSION, "default", "lamps")
    start = lamps.list_namespaced_custom_object(*where)["metadata"]["resourceVersion"]
    lamps.create_namespaced_custom_object(*where, {**LAMP, "metadata": {"name": "watched"}})
    lamps.delete_namespaced_custom_object(*where, "watched")
    stream = kubernetes.watch.Watch().stream(
        lamps.list_namespaced_custom_object, *where, resource_version=start, timeout_seconds=1
    )
    seen = [(event["type"], event["object"]["metadata"]["name"]) for event in stream]
    assert seen == [("ADDED", "watched"), ("DELETED", "watched")]


def test_the_dynamic_client_applies_on_the_server(client: Any, lamps: Any) -> None:
    dynamic = kubernetes.dynamic.DynamicClient(client)
    kind = dynamic.resources.get(api_version=f"{GROUP}/{VERSION}", kind="Lamp")
    body = {**LAMP, "metadata": {"name": "applied", "namespace": "default"}}
    made = kind.server_side_apply(body=body, namespace="default", name="applied", field_manager="one")
    assert made.metadata.managedFields[0].manager == "one"
    with pytest.raises(ApiException) as refused:
        other = {**body, "spec": {"watts": 6}}
        kind.server_side_apply(body=other, namespace="default", name="applied", field_manager="two")
    assert refused.value.status == 409
    kind.delete(name="applied", namespace="default")


@pytest.fixture
def operator(config: Path, lamps: Any, tmp_path: Path) -> Iterator[list[str]]:
    """A running kopf operator; its log."""
    (tmp_path / "operator.py").write_text(OPERATOR)
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "-n", "default", str(tmp_path / "operator.py")]
    env = {"KUBECONFIG": str(config), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    log: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=log.extend, args=(process.stderr,), daemon=True)
    reader.start()
    yield log
    process.terminate()
    process.wait(20)
    reader.join(5)


def test_a_kopf_operator_keeps_its_kind(operator: list[str], lamps: Any, client: Any) -> None:
    where = (GROUP, VERSION, "default", "lamps")

    def lit(watts: int) -> bool:
        return bool(lamps.get_namespaced_custom_object(*where, "desk").get("status", {}).get("lit") == watts)

    lamps.create_namespaced_custom_object(*where, LAMP)
    eventually(lambda: lit(5), 30, f"the operator lights the lamp; it wrote {operator[-5:]}")
    assert lamps.get_namespaced_custom_object(*where, "desk")["metadata"]["finalizers"]
    lamps.patch_namespaced_custom_object(*where, "desk", {"spec": {"watts": 9}})
    eventually(lambda: lit(9), 20, f"the operator sees the change; it wrote {operator[-5:]}")
    lamps.delete_namespaced_custom_object(*where, "desk")

    def is_gone() -> bool:
        return not lamps.list_namespaced_custom_object(*where)["items"]

    eventually(is_gone, 20, f"the operator lets it go; it wrote {operator[-5:]}")
    core = kubernetes.client.CoreV1Api(client)

    def told() -> bool:
        events = core.list_namespaced_event("default", field_selector="involvedObject.kind=Lamp").items
        return any(each.reason == "Out" for each in events)

    eventually(told, 10, "the event is there")
