"""What containers may: ours nothing but what they are for, people's no more than Docker's defaults and less.

What the driver asks of Docker, what stack.yml asks, and whom the conductor takes for its registry.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from served import served

from api.gateway.mutual_tls import KnownHosts
from api.gateway.reverse_proxy import ReverseProxy
from api.tls import CertificateAuthority
from controller.kit.clock import LoopClock, SystemClock
from controller.main.image_resolver import ImageResolver, RegistryUnavailable, registry_trust
from controller.runtime.driver import DriverError, File, Volume, Workload
from controller.runtime.swarm.dependencies import DependencyProvisioner
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.service_spec import service_spec
from controller.runtime.swarm.snapshot import SwarmSnapshot
from crds.errors import ApiError
from crds.kinds.service import SERVICE
from tests.unit.runtime.swarm_in_a_bottle import Bottle

pytestmark = pytest.mark.anyio
REPOSITORY = Path(__file__).parents[2]
CLOUD = Cloud(stack="aerekos", control_network="aerekos_control")
DIGEST = "sha256:" + "0" * 64


class Overlays(Bottle):
    """Keeps what networks it was asked for. The control network is there, as the stack made it."""

    def __init__(self) -> None:
        super().__init__(LoopClock())
        self.made: dict[str, Any] = {}
        self.api.networks = lambda names=(), **_: [  # type: ignore[method-assign]
            {"Name": each, "Id": each, "Labels": {}} for each in names if each == "aerekos_control"
        ]
        self.api.create_network = self._make  # type: ignore[method-assign]
        self.api.create_secret = self.api.create_config = lambda *_: {"ID": "f"}  # type: ignore[attr-defined]

    def _make(self, name: str, **options: Any) -> dict[str, str]:
        self.made[name] = options
        return {"Id": name}


async def spec_of(made: Workload) -> dict[str, Any]:
    around = await DependencyProvisioner(Overlays(), CLOUD).dependencies(made, SwarmSnapshot({}, {}, {}))  # type: ignore[arg-type]
    spec: dict[str, Any] = service_spec(CLOUD, made, around)["TaskTemplate"]["ContainerSpec"]
    return spec


def workload(*, control: bool, **more: Any) -> Workload:
    key = SERVICE.key("key-manager" if control else "web", "default")
    files = (File("/run/x/key", b"secret", secret=True), File("/run/x/ca.crt", b"ca"))
    return Workload(key, "uid", "one", 1, image="x:1", files=files, control=control, **more)


async def test_a_managed_service_has_no_rights_and_its_secrets_are_its_own() -> None:
    spec = await spec_of(workload(control=True, env={"D": "{data}"}))
    assert (spec["CapabilityDrop"], spec.get("CapabilityAdd"), spec["ReadOnly"]) == (["ALL"], None, True)
    uid = spec["User"].partition(":")[0]
    assert uid not in ("", "0", "root")
    (secret,) = spec["Secrets"]
    assert (secret["File"]["UID"], secret["File"]["Mode"]) == (uid, 0o400)
    assert [(each["Type"], each["Target"]) for each in spec["Mounts"]] == [("volume", "/data"), ("tmpfs", "/tmp")]


async def test_a_container_of_people_cannot_pretend_to_be_a_neighbour() -> None:
    """Raw packets are how one answers for another's address in a shared network."""
    spec = await spec_of(workload(control=False, volumes=(Volume("data", "/data"),)))
    assert set(spec["CapabilityDrop"]) >= {"CAP_NET_RAW", "CAP_MKNOD"} and "CapabilityAdd" not in spec
    assert spec["Init"] is True


def stack() -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((REPOSITORY / "stack.yml").read_text())
    return told


NEEDED = {"conductor": {"CHOWN", "DAC_OVERRIDE", "FOWNER"}, "agent": {"NET_ADMIN", "NET_RAW", "DAC_OVERRIDE"}}


@pytest.mark.parametrize("name", sorted(stack()["services"]))
def test_each_part_of_the_stack_has_only_the_rights_it_is_for(name: str) -> None:
    part = stack()["services"][name]
    assert part["cap_drop"] == ["ALL"] and set(part.get("cap_add", ())) == NEEDED.get(name, set())
    assert part["read_only"] is True and part["init"] is True and "privileged" not in part
    for secret in part.get("secrets", ()):
        assert secret["mode"] == 0o400, secret


@pytest.mark.parametrize("role", ["agent", "conductor", "registry", "services"])
def test_no_image_has_a_file_that_makes_anybody_root(role: str) -> None:
    text = (REPOSITORY / "images" / role / "Dockerfile").read_text()
    assert "-perm /6000 -exec chmod a-s" in text and "--no-new-privs" in text
    assert role in NEEDED or "USER 10001" in text, "root only where Docker's socket asks for it"


def test_networks_between_machines_are_encrypted_unless_somebody_says_no() -> None:
    networks = stack()["networks"]
    assert all(networks[each]["driver_opts"] == {"encrypted": ""} for each in ("control", "default"))


@pytest.mark.parametrize(("can", "options"), [(True, {"encrypted": ""}), (False, {})])
async def test_a_namespaces_network_is_encrypted_where_every_machine_can(can: bool, options: Any) -> None:
    overlays = Overlays()
    await DependencyProvisioner(overlays, CLOUD, lambda: can).dependencies(
        workload(control=False), SwarmSnapshot({}, {}, {})
    )  # type: ignore[arg-type]
    assert overlays.made["aerekos_default"]["options"] == options


async def test_no_network_is_made_before_every_machine_has_said_what_it_can() -> None:
    overlays = Overlays()
    with pytest.raises(DriverError, match="not every machine has said yet"):
        await DependencyProvisioner(overlays, CLOUD, lambda: None).dependencies(
            workload(control=False), SwarmSnapshot({}, {}, {})
        )  # type: ignore[arg-type]
    assert overlays.made == {}


# --- the registry ---


@asynccontextmanager
async def registry(folder: Path | None) -> AsyncIterator[str]:
    """One that has every image, with a certificate of the authority in `folder`; without, in the clear."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"docker-content-digest", DIGEST.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"an image"})

    tls: dict[str, Any] = {}
    if folder is not None:
        certificate, key = CertificateAuthority(folder, now=datetime.now(UTC)).server(["registry"])
        tls = {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
    async with served(app, **tls) as address:
        yield address


@pytest.mark.parametrize("impostor", ["other", None], ids=["another certificate", "in the clear"])
async def test_whoever_answers_to_the_registrys_name_is_not_believed(tmp_path: Path, impostor: str | None) -> None:
    """What the conductor runs everywhere is what its registry says an image is."""
    CertificateAuthority(tmp_path / "ours", now=datetime.now(UTC))
    ca, image = tmp_path / "ours" / "ca.crt", "127.0.0.1:7444/web:1"

    def images(address: str, name: str) -> ImageResolver:
        swarm: Any = None
        return ImageResolver("127.0.0.1:7444", address, ca, tmp_path / name, swarm, SystemClock(), lambda: "")

    async with registry(tmp_path / impostor if impostor else None) as address:
        with pytest.raises(RegistryUnavailable):
            await images(address, "a.json").pinned(image)
        with pytest.raises(ApiError, match="cannot be reached"):
            await carried(address, ca)
    async with registry(tmp_path / "ours") as address:
        assert await images(address, "b.json").pinned(image) == f"{image}@{DIGEST}"
        assert await carried(address, ca) == 200


async def carried(address: str, ca: Path) -> int:
    """A pull through the conductor's door."""

    class One:
        def candidates(self, service: str, namespace: str = "default") -> list[str]:
            return [address]

        def record_success(self, address: str) -> None: ...

        def record_failure(self, address: str) -> None: ...

    proxy = ReverseProxy(One(), KnownHosts(registry_trust(ca)))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await proxy.forward(scope, receive, send, service="registry", target=b"/v2/", headers=[(b"host", b"x")])

    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://x") as client:
            return (await client.get("/v2/")).status_code
    finally:
        await proxy.close()
