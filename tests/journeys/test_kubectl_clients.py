"""The Python `kubernetes` client, unmodified, against a real cloud over TLS."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from clouds import Cloud, eventually, forget_history
from kubectl import Kubectl, oldest_or_newest
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream

GROUP, VERSION = "light.example", "v1"
LAMP = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Lamp", "metadata": {"name": "desk"}, "spec": {"watts": 5}}


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


def test_the_version_is_asked_for_with_a_slash(client: Any) -> None:
    assert kubernetes.client.VersionApi(client).get_code().major == "1"


def test_an_editor_scales(cloud: Cloud, client: Any) -> None:
    """The scale is read before it is written."""
    assert (
        cloud.command("user", "create", "ed", "--role", "editor", "--password-stdin", text="secret-enough\n").code
        == 0
    )
    with cloud.http(admin=False) as http:
        token = http.post("/auth/login", json={"username": "ed", "password": "secret-enough"}).json()["accessToken"]
    configuration = kubernetes.client.Configuration(host=f"https://127.0.0.1:{cloud.port}")
    configuration.ssl_ca_cert = str(cloud.home / "tls" / "ca.crt")
    configuration.api_key = {"authorization": f"Bearer {token}"}
    editor = kubernetes.client.CustomObjectsApi(kubernetes.client.ApiClient(configuration))
    where = ("aerekos.cloud", "v1", "default", "services")
    body = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": {"name": "idle"}}
    editor.create_namespaced_custom_object(*where, {**body, "spec": {"image": "nginx:1", "replicas": 0}})

    def scaled() -> bool:
        scale = editor.get_namespaced_custom_object_scale(*where, "idle")
        try:
            return bool(editor.replace_namespaced_custom_object_scale(*where, "idle", scale))
        except kubernetes.client.ApiException as refused:
            assert refused.status == 409, refused  # its status was written in between
            return False

    eventually(scaled, "it is scaled")
    editor.delete_namespaced_custom_object(*where, "idle")


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


def test_an_instance_is_given_a_label_by_which_others_find_it(client: Any) -> None:
    """As Patroni tells who leads."""
    core = kubernetes.client.CoreV1Api(client)
    meta = kubernetes.client.V1ObjectMeta(name="key-manager-0", namespace="default", labels={"role": "primary"})
    core.patch_namespaced_pod("key-manager-0", "default", kubernetes.client.V1Pod(metadata=meta))
    found = core.list_namespaced_pod("default", label_selector="role=primary").items
    assert [pod.metadata.name for pod in found] == ["key-manager-0"]
    core.patch_namespaced_pod("key-manager-0", "default", {"metadata": {"labels": {"role": None}}})
    assert core.list_namespaced_pod("default", label_selector="role=primary").items == []


def test_events_are_written_and_read_by_their_newer_name(client: Any) -> None:
    events, core = kubernetes.client.EventsV1Api(client), kubernetes.client.CoreV1Api(client)
    about = kubernetes.client.V1ObjectReference(kind="ConfigMap", namespace="default", name="c", api_version="v1")
    made = kubernetes.client.EventsV1Event(
        metadata=kubernetes.client.V1ObjectMeta(name="newer"), event_time=datetime.now(UTC), type="Normal",
        reason="R", action="A", reporting_controller="x.io/y", reporting_instance="y-1", regarding=about,
        note="so it is",
    )  # fmt: skip
    events.create_namespaced_event("default", made)
    assert core.read_namespaced_event("newer", "default").message == "so it is"
    assert {"newer"} < {each.metadata.name for each in events.list_namespaced_event("default").items}
    events.delete_namespaced_event("newer", "default")


def test_a_command_runs_with_input_output_and_exit_code(config: Path) -> None:
    # A client of its own: while a stream is opened, all requests of a client go over WebSockets.
    core = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(config_file=str(config)))
    command = ["sh", "-c", "read line; echo $line; echo oh >&2; exit 3"]
    running = stream(
        core.connect_get_namespaced_pod_exec,
        "key-manager-0",
        "default",
        command=command,
        **dict.fromkeys(("stdin", "stdout", "stderr"), True),
        _preload_content=False,
    )
    running.write_stdin("hello\n")
    began = time.monotonic()
    running.run_forever(timeout=60)
    assert time.monotonic() - began < 30, "the end of the command is heard when the client gives up waiting"
    assert (running.read_stdout(), running.read_stderr(), running.returncode) == ("hello\n", "oh\n", 3)


def test_who_logged_in_stays_logged_in_when_the_token_ends(cloud: Cloud, tmp_path: Path) -> None:
    """The kubeconfig holds no token, only the command that gets one: kubectl and the Python client run it."""
    mine = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert cloud.command("user", "create", "vera", "--password-stdin", text="secret-enough\n").code == 0
    assert cloud.command("login", "-u", "vera", "--password-stdin", text="secret-enough\n", **mine).code == 0
    config = tmp_path / "kubeconfig"
    config.write_text(cloud.command("kubeconfig", **mine).out)
    kept = tmp_path / "aerekos" / "context.json"
    contexts = json.loads(kept.read_text())
    (place,) = contexts
    contexts[place] |= {"access_token": "ended", "expires_at": 0}
    kept.write_text(json.dumps(contexts))
    told = Kubectl(oldest_or_newest("newest"), cloud, config, tmp_path / "cache").say("get", "secrets")
    assert told.code == 1 and 'User "vera" cannot list resource "secrets"' in told.err
    assert json.loads(kept.read_text())[place]["access_token"] != "ended"
    api = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(config_file=str(config)))
    assert api.list_node().items


def test_a_service_account_lives_by_its_token(client: Any, cloud: Cloud) -> None:
    core = kubernetes.client.CoreV1Api(client)
    meta = kubernetes.client.V1ObjectMeta(name="robot")
    core.create_namespaced_service_account("default", kubernetes.client.V1ServiceAccount(metadata=meta))
    wish = kubernetes.client.AuthenticationV1TokenRequest(spec={"audiences": [], "expirationSeconds": 600})
    token = core.create_namespaced_service_account_token("robot", "default", wish).status.token
    configuration = kubernetes.client.Configuration(host=f"https://127.0.0.1:{cloud.port}")
    configuration.ssl_ca_cert = str(cloud.home / "tls" / "ca.crt")
    configuration.api_key = {"authorization": f"Bearer {token}"}
    robot = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))
    with pytest.raises(ApiException) as refused:
        robot.list_namespaced_config_map("default")
    assert refused.value.status == 403
    rbac = kubernetes.client.RbacAuthorizationV1Api(client)
    subject = kubernetes.client.RbacV1Subject(kind="ServiceAccount", name="robot", namespace="default")
    view = kubernetes.client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name="view")
    rbac.create_namespaced_role_binding(
        "default", kubernetes.client.V1RoleBinding(metadata=meta, role_ref=view, subjects=[subject])
    )
    assert robot.list_namespaced_config_map("default").metadata.resource_version
    core.delete_namespaced_service_account("robot", "default")
    with pytest.raises(ApiException) as gone:
        robot.list_namespaced_config_map("default")
    assert gone.value.status == 401


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


def test_a_watch_without_a_place_begins_with_what_is_there(lamps: Any) -> None:
    where = (GROUP, VERSION, "default", "lamps")
    lamps.create_namespaced_custom_object(*where, {**LAMP, "metadata": {"name": "there"}})
    stream = kubernetes.watch.Watch().stream(lamps.list_namespaced_custom_object, *where, timeout_seconds=1)
    assert ("ADDED", "there") in [(event["type"], event["object"]["metadata"]["name"]) for event in stream]
    lamps.delete_namespaced_custom_object(*where, "there")


def test_a_place_nobody_remembers_is_a_410_to_the_caller(cloud: Cloud, lamps: Any) -> None:
    """The history is forgotten while the conductor is away; it does not come back with it."""
    where = (GROUP, VERSION, "default", "lamps")
    lamps.create_namespaced_custom_object(*where, {**LAMP, "metadata": {"name": "old"}})
    lamps.delete_namespaced_custom_object(*where, "old")
    cloud.do("down")
    forget_history(cloud)
    cloud.do("up")
    stream = kubernetes.watch.Watch().stream(
        lamps.list_namespaced_custom_object, *where, resource_version="1", timeout_seconds=5
    )
    with pytest.raises(ApiException) as gone:
        list(stream)
    assert gone.value.status == 410


def test_the_dynamic_client_does_everything(client: Any, lamps: Any) -> None:
    dynamic = kubernetes.dynamic.DynamicClient(client)
    assert dynamic.version["kubernetes"]["gitVersion"].startswith("v1.")
    kind = dynamic.resources.get(api_version=f"{GROUP}/{VERSION}", kind="Lamp")
    start = kind.get(namespace="default").metadata.resourceVersion
    kind.create(body={**LAMP, "metadata": {"name": "dyn", "labels": {"room": "hall"}}}, namespace="default")
    merge = {"content_type": "application/merge-patch+json"}
    patched = kind.patch(name="dyn", namespace="default", body={"spec": {"watts": 9}}, **merge)
    assert patched.spec.watts == 9
    kind.status.patch(name="dyn", namespace="default", body={"status": {"on": True}}, **merge)
    read = kind.get(name="dyn", namespace="default")
    assert read.status.on is True
    read.spec.watts = 4
    assert kind.replace(body=read.to_dict(), namespace="default").spec.watts == 4
    assert [each.metadata.name for each in kind.get(namespace="default", label_selector="room=hall").items] == ["dyn"]
    kind.delete(name="dyn", namespace="default")
    seen = [event["type"] for event in kind.watch(namespace="default", resource_version=start, timeout=1)]
    assert seen == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]


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
