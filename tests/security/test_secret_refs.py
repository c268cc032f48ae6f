"""What is secret goes to the process that needs it, and to nobody who may only read Services."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from unit.kube.conftest import SERVICES, Wire
from unit.kube.conftest import wire as wire
from unit.reconcilers.houses import world
from unit.reconcilers.test_service import House

from api.auth.principal import AUTHENTICATED, Principal
from controller.kit.virtual import VirtualLoop
from controller.runtime.driver import Workload
from controller.runtime.process import state_files
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.service_spec import SpecDependencies, service_spec
from crds.errors import Invalid
from crds.kind import key_of
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET, Secret
from crds.kinds.service import SERVICE, Service

pytestmark = pytest.mark.anyio
VIEWER = Principal("vera", frozenset({AUTHENTICATED, "aerekos:viewer"}))
PIN = "4711"
REF = {"name": "PIN", "valueFrom": {"secretKeyRef": {"name": "door", "key": "pin"}}}
MODE = {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "mode", "optional": True}}}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


@pytest.fixture
async def house() -> House:
    return House()


def secret(house: House, pin: str, uid: str = "7d1c") -> Secret:
    made = SECRET.new("door", namespace="default", data={"pin": base64.b64encode(pin.encode()).decode()})
    made.metadata.uid = uid
    return house.world.seen.put(SECRET, made)  # type: ignore[attr-defined]


def everything_told(house: House, web: Service) -> str:
    return repr((web.wire(), house.world.events, house.driver.applied, house.driver.running))


async def test_the_value_reaches_the_runtime_and_is_told_to_nobody(house: House) -> None:
    web = house.service("web", image="web:1", env=[REF, {"name": "A", "value": "1"}])
    secret(house, PIN)
    assert (await house.look(web)).settled
    workload = house.driver.applied[-1]
    assert (workload.secret_env, workload.env["A"]) == ({"PIN": PIN}, "1")
    assert "PIN" not in workload.env
    assert PIN not in everything_told(house, web)


async def test_what_is_missing_is_named_and_optional_is_left_out(house: House) -> None:
    web = house.service("web", image="web:1", env=[MODE, REF])
    outcome = await house.look(web)
    assert (outcome.reason, outcome.message) == (
        "CreateContainerConfigError",
        "waiting for pin of the secret door (for PIN)",
    )
    assert not house.driver.applied
    secret(house, PIN)
    assert (await house.look(web)).settled
    assert "MODE" not in house.driver.applied[-1].env
    house.world.seen.put(CONFIG_MAP, CONFIG_MAP.new("web", namespace="default", data={"mode": "dark"}))  # type: ignore[attr-defined]
    await house.look(web)
    assert house.driver.applied[-1].env["MODE"] == "dark"


async def test_a_change_is_rolled_out_and_wakes_its_users(house: House) -> None:
    web = house.service("web", image="web:1", env=[REF, MODE])
    house.service("other", image="web:1")
    changed = secret(house, PIN)
    await house.look(web)
    before = house.driver.applied[-1].revision
    secret(house, "1234")
    await house.look(web)
    assert house.driver.applied[-1].revision != before
    assert list(house.reconciler.also_watch[2].affects(changed, house.world.seen)) == [key_of(SERVICE, web)]
    mode = CONFIG_MAP.new("web", namespace="default", data={})
    assert list(house.reconciler.also_watch[3].affects(mode, house.world.seen)) == [key_of(SERVICE, web)]


@pytest.mark.parametrize(
    "spec", [{"env": [REF]}, {"files": [{"path": "/pin", "secret": {"name": "door", "key": "pin"}}]}]
)
async def test_the_revision_tells_no_secret_to_who_tries_them_all(house: House, spec: dict[str, object]) -> None:
    """Status shows the revision: if it could be made from a guess, ten thousand guesses would show a PIN."""
    web = house.service("web", image="web:1", **spec)
    secret(house, PIN, uid="one")
    await house.look(web)
    before = house.driver.applied[-1].revision
    secret(house, PIN, uid="another")
    await house.look(web)
    assert house.driver.applied[-1].revision != before  # what only the uid's readers know is part of it
    digests = {each.digest for each in house.driver.applied[-1].files}
    assert hashlib.sha256(PIN.encode()).hexdigest() not in digests


async def test_records_of_the_process_runtime_hold_no_secret(tmp_path: Path) -> None:
    workload = Workload(SERVICE.key("web"), "u", "r", 1, command=("true",), secret_env={"PIN": PIN})
    record = state_files.InstanceRecord("web-0", 1, 1, "b", 1, datetime.now(UTC), workload)
    state_files.folder(tmp_path).mkdir(parents=True)
    state_files.write(tmp_path, record)
    assert PIN not in "".join(path.read_text() for path in state_files.folder(tmp_path).iterdir())
    assert PIN not in repr(workload) and asdict(workload)["secret_env"] == {"PIN": PIN}


def test_docker_makes_nothing_of_what_a_secret_says() -> None:
    text = '{{.Node.Hostname}}{port}{{"'
    workload = Workload(SERVICE.key("web"), "u", "r", 1, image="x:1", secret_env={"PIN": text})
    env = service_spec(Cloud("c"), workload, SpecDependencies())["TaskTemplate"]["ContainerSpec"]["Env"]
    assert env == ['PIN={{"{{"}}.Node.Hostname}}{port}{{"{{"}}"']


async def test_bytes_are_no_variable(house: House) -> None:
    web = house.service("web", image="web:1", env=[REF])
    made = SECRET.new("door", namespace="default", data={"pin": base64.b64encode(b"a\0b").decode()})
    house.world.seen.put(SECRET, made)  # type: ignore[attr-defined]
    assert "to be text" in (await house.look(web)).message
    assert world() is not None


async def test_a_viewer_sees_where_it_comes_from_and_not_what_it_is(wire: Wire) -> None:
    await wire.ok(
        "POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "door"}, "stringData": {"pin": PIN}}
    )
    body = {"metadata": {"name": "web"}, "spec": {"image": "web:1", "env": [REF, {"name": "A", "value": "1"}]}}
    await wire.ok("POST", SERVICES, body)
    encoded = base64.b64encode(PIN.encode()).decode()
    for path in (
        f"{SERVICES}/web",
        "/apis/apps/v1/namespaces/default/deployments/web",
        "/api/v1/namespaces/default/pods",
    ):
        reply = await wire.ask("GET", path, who=VIEWER)
        assert reply.code == 200
        assert PIN.encode() not in reply.body and encoded.encode() not in reply.body
    shown = await wire.ok("GET", "/apis/apps/v1/namespaces/default/deployments/web", who=VIEWER)
    (container,) = shown["spec"]["template"]["spec"]["containers"]
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "door"
    assert (await wire.ask("GET", "/api/v1/namespaces/default/secrets/door", who=VIEWER)).code == 403


async def test_kubectl_set_env_from_a_secret(wire: Wire) -> None:
    """The view takes what a Service can have, and refuses what it cannot, by name."""
    await wire.ok("POST", SERVICES, {"metadata": {"name": "web"}, "spec": {"image": "web:1"}})
    path = "/apis/apps/v1/namespaces/default/deployments/web"

    def patch(variable: dict[str, object]) -> dict[str, object]:
        return {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [variable]}]}}}}

    strategic = "application/strategic-merge-patch+json"
    reply = await wire.ask("PATCH", path, patch(REF), content_type=strategic)
    assert reply.code == 200, reply.json
    assert (await wire.ok("GET", f"{SERVICES}/web"))["spec"]["env"][0]["valueFrom"]["secretKeyRef"]["key"] == "pin"
    field = {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    refused = await wire.ask("PATCH", path, patch(field), content_type=strategic)
    assert refused.code == 422 and "fieldRef" in refused.json["message"]


@pytest.mark.parametrize(
    "variable",
    [
        {"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
        {"name": "A", "valueFrom": {}},
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
    ],
)
async def test_what_is_no_source_is_refused(wire: Wire, variable: dict[str, object]) -> None:
    body = {"metadata": {"name": "web"}, "spec": {"image": "web:1", "env": [variable]}}
    assert (await wire.ask("POST", SERVICES, body)).code == 422
    assert Invalid.code == 422
