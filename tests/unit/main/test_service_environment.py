"""What the conductor gives a Service besides its spec: to a program, nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.auth.derived_secrets import DerivedSecrets
from controller.main.role_endpoint import RoleEndpoint
from controller.main.service_environment import ContainerEnvironment, ProcessEnvironment
from controller.main.stack_settings import Stack
from controller.reconcilers.service_engine import with_engine
from controller.reconcilers.service_workload import RuntimeInputs, workload
from controller.runtime.driver import DriverError
from controller.runtime.engines.finder import EngineFinder
from crds.conditions import Reason
from crds.kinds.service import Service

PROGRAM = Service.model_validate({"metadata": {"name": "web", "namespace": "acme"}, "spec": {"command": ["x"]}})


@pytest.mark.anyio
async def test_a_program_gets_no_credential_no_secret_and_no_file_of_the_home() -> None:
    nothing: Any = None
    for given in (
        await ProcessEnvironment(nothing, nothing)(PROGRAM, None),
        await ContainerEnvironment(nothing, nothing, nothing, "")(PROGRAM, None),
    ):
        assert given == RuntimeInputs()
    wish = workload(PROGRAM, None, RuntimeInputs(), ())
    assert wish.program and not wish.reads and not wish.control


@pytest.mark.anyio
async def test_a_program_with_a_role_is_told_where_its_credentials_are(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_bytes(b"the CA")
    endpoint = RoleEndpoint(tmp_path)
    components: Any = SimpleNamespace(
        home=tmp_path,
        settings=SimpleNamespace(url="https://localhost:7443"),
        authority=SimpleNamespace(ca_file=authority),
        derived=DerivedSecrets(b"m" * 32),
        role_endpoint=endpoint,
    )
    body = PROGRAM.wire()
    body["metadata"]["uid"] = "u1"
    body["spec"] |= {"role": "jobs", "env": [{"name": "AWS_REGION", "value": "eu-central-1"}]}
    service, nothing = Service.model_validate(body), None
    given = await ProcessEnvironment(components, EngineFinder())(service, nothing)
    assert given.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == endpoint.url("acme", "web")
    assert endpoint.url("acme", "web").startswith("http://127.0.0.1:")
    assert "AWS_REGION" not in given.env and given.env["AWS_ENDPOINT_URL"] == "https://localhost:7443"
    files = {each.path: each for each in given.files}
    token = files[given.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]]
    assert token.secret and token.content.decode() not in workload(service, None, given, ()).revision
    assert files[given.env["AWS_CA_BUNDLE"]].content == b"the CA"
    assert RoleEndpoint(tmp_path).url("acme", "web") != endpoint.url("acme", "web"), "the port is taken"
    for each in endpoint.listeners:
        each.close()


@pytest.mark.anyio
async def test_the_port_of_credentials_stays_the_same(tmp_path: Path) -> None:
    """Programs that run on while the conductor is replaced know its number."""
    first = RoleEndpoint(tmp_path)
    url = first.url("acme", "web")
    for each in first.listeners:
        each.close()
    second = RoleEndpoint(tmp_path)
    assert second.url("acme", "web") == url
    for each in second.listeners:
        each.close()


def container(namespace: str, **env: str) -> Service:
    spec = {"image": "x:1", "role": "jobs", "env": [{"name": name, "value": text} for name, text in env.items()]}
    return Service.model_validate({"metadata": {"name": "web", "namespace": namespace, "uid": "u1"}, "spec": spec})


@pytest.mark.anyio
async def test_beside_a_swarm_without_agents_of_ours_a_container_says_why_it_has_no_role() -> None:
    nothing: Any = None
    with pytest.raises(DriverError, match="role: containers get credentials from their machine's agent"):
        await ProcessEnvironment(nothing, nothing)(container("acme"), None)


@pytest.mark.anyio
async def test_a_container_with_a_role_asks_its_own_machine(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_bytes(b"the CA")
    components: Any = SimpleNamespace(
        authority=SimpleNamespace(ca_file=authority), derived=DerivedSecrets(b"m" * 32), settings=None
    )
    stack = Stack("aerekos", 8443, tmp_path, "s:1", "a:1", tmp_path)
    images: Any = SimpleNamespace(pinned=Images("x:1").offered)
    environment, nothing = ContainerEnvironment(components, stack, images, "10.0.0.5"), None
    given = await environment(container("acme", AWS_REGION="eu-central-1"), nothing)
    assert given.image == "x:1@sha256:1" and "AWS_REGION" not in given.env
    assert given.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://169.254.170.2:7447/services/acme/web"
    assert given.env["AWS_ENDPOINT_URL"] == "https://10.0.0.5:8443", "the conductor has no name in that network"
    files = {each.path: each for each in given.files}
    token = files[given.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]]
    assert token.secret and token.content.decode() == components.derived.workload_token("acme", "web", "u1")
    assert not files[given.env["AWS_CA_BUNDLE"]].secret
    at_home = await environment(container("default"), nothing)
    assert at_home.env["AWS_ENDPOINT_URL"] == "https://conductor:7443"


class Images:
    """The cloud's registry, with those images."""

    def __init__(self, *known: str) -> None:
        self.known = known

    async def offered(self, image: str) -> str:
        if image not in self.known:
            raise DriverError(f"{image} is not among the cloud's images", reason=Reason.IMAGE_NOT_FOUND)
        return f"{image}@sha256:1"


def database(**engine: str) -> Service:
    said = {"metadata": {"name": "db", "namespace": "acme"}, "spec": {"engine": {"name": "postgresql", **engine}}}
    return with_engine(Service.model_validate(said))


@pytest.mark.anyio
async def test_on_a_swarm_an_engine_is_an_image_of_the_cloud_s_own_registry() -> None:
    nothing: Any = None
    images: Any = Images("127.0.0.1:7444/aerekos/engine-postgresql:15")
    inputs = await ContainerEnvironment(nothing, nothing, images, "")(database(version="15.2"), None)
    wish = workload(database(version="15.2"), None, inputs, ())
    assert wish.image == "127.0.0.1:7444/aerekos/engine-postgresql:15@sha256:1" and not wish.program
    assert (wish.stop_signal, wish.reload_signal, wish.account) == ("SIGINT", None, "postgres")
    assert wish.env["PORT"] == "{port}" and [each.path for each in wish.volumes] == ["/var/lib/postgresql"]


@pytest.mark.anyio
async def test_an_image_that_is_not_built_yet_is_named_with_what_builds_it() -> None:
    nothing: Any = None
    images: Any = Images()
    for asked, command in ((database(), "images/engine.sh postgresql"), (database(version="15"), "postgresql 15")):
        with pytest.raises(DriverError) as refused:
            await ContainerEnvironment(nothing, nothing, images, "")(asked, None)
        assert refused.value.reason == "EngineMissing" and str(refused.value).endswith(command)


@pytest.mark.anyio
async def test_an_engine_is_given_its_program_and_no_file_of_the_home(tmp_path: Path) -> None:
    house: Any = SimpleNamespace(home=tmp_path / "home", worker="oak")
    for name in ("postgres", "initdb", "pg_isready"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 16.1'\n")
        program.chmod(0o755)
    given = await ProcessEnvironment(house, EngineFinder([tmp_path / "bin"]))(database(), None)
    assert given.engine and given.engine.version == "16.1" and given.programs == (str(tmp_path / "bin"),)
    assert not given.reads and not given.control and set(given.env) == {"ENGINE_PROGRAM", "PATH"}
