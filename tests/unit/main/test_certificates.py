"""The server's certificate follows the names and addresses of its machine while it serves."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from cryptography import x509

from api.tls import CertificateAuthority
from controller.docker.node_info import SwarmNodeInfo
from controller.kit.virtual import VirtualLoop
from controller.main import certificates
from controller.main.certificates import LOOK_SECONDS, RENEW_LOOKS, keep_certificates_fresh, server_certificate
from controller.main.server_names import ASK_EVERY_LOOKS, MOST_ADDRESSES, ServerNames
from controller.main.settings import Settings
from controller.main.stack_settings import Stack
from controller.runtime.driver import DriverError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualLoop}


class Machine:
    def __init__(self) -> None:
        self.addresses = ["10.0.0.5", "fd00::5"]
        self.name = "Attic"

    def names(self, settings: Settings) -> ServerNames:
        return ServerNames(settings, own_addresses=lambda: self.addresses, host_name=lambda: self.name)


def shown(folder: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value) for each in found}


async def test_every_way_to_call_it_is_in_the_certificate(tmp_path: Path) -> None:
    settings = Settings(tmp_path, host="::", names=("cloud.lan", "192.0.2.9"))
    names = await Machine().names(settings).look()
    server_certificate(CertificateAuthority(tmp_path, now=datetime.now(UTC)), names)
    own = {"localhost", "127.0.0.1", "::1", "attic", "attic.local", "10.0.0.5", "fd00::5"}
    below = {f"*.{before}{name}" for name in ("attic.local", "cloud.lan") for before in ("", "s3-website.")}
    assert shown(tmp_path) == own | below | {"cloud.lan", "192.0.2.9"}


async def test_names_no_certificate_can_hold_are_left_out_and_there_is_an_end(tmp_path: Path) -> None:
    machine = Machine()
    machine.name = "bad name"
    machine.addresses = [str(ipaddress.ip_address(f"10.1.{each // 250}.{each % 250 + 1}")) for each in range(500)]
    names = await machine.names(Settings(tmp_path)).look()
    assert "bad name" not in names and len(names) == 3 + MOST_ADDRESSES


async def test_addresses_that_cannot_be_read_now_stay_as_they_were(tmp_path: Path) -> None:
    answers = iter([["10.0.0.5"], psutil.AccessDenied(), OSError(24, "Too many open files"), ["10.0.0.6"]])

    def own() -> list[str]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    names = ServerNames(Settings(tmp_path), own_addresses=own)
    assert ["10.0.0.5" in await names.look() for _ in range(4)] == [True, True, True, False]


async def test_it_is_made_anew_when_an_address_changes_and_only_then(tmp_path: Path) -> None:
    machine = Machine()
    names = machine.names(Settings(tmp_path))
    certificate, key = server_certificate(CertificateAuthority(tmp_path, now=datetime.now(UTC)), await names.look())
    before, first = key.read_bytes(), certificate.read_bytes()
    async with anyio.create_task_group() as group:
        group.start_soon(keep_certificates_fresh, tmp_path, names, lambda: datetime.now(UTC))
        await anyio.sleep(LOOK_SECONDS * (RENEW_LOOKS + 2))
        assert certificate.read_bytes() == first, "nothing changed"
        machine.addresses = ["10.0.0.6"]
        await anyio.sleep(LOOK_SECONDS)
        assert "10.0.0.6" in shown(tmp_path) and "10.0.0.5" not in shown(tmp_path)
        machine.name = "cellar"
        await anyio.sleep(LOOK_SECONDS)
        assert "cellar" in shown(tmp_path)
        group.cancel_scope.cancel()
    assert key.read_bytes() == before and key.stat().st_mode & 0o777 == 0o600


async def test_a_disk_that_is_full_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    names = machine.names(Settings(tmp_path))
    server_certificate(CertificateAuthority(tmp_path, now=datetime.now(UTC)), await names.look())
    real, full = certificates.renew, [True]

    def renew(*given: Any) -> bool:
        if full[0]:
            raise OSError(28, "No space left on device")
        return real(*given)

    monkeypatch.setattr(certificates, "renew", renew)
    async with anyio.create_task_group() as group:
        group.start_soon(keep_certificates_fresh, tmp_path, names, lambda: datetime.now(UTC))
        machine.addresses = ["10.0.0.6"]
        await anyio.sleep(LOOK_SECONDS * 3)
        assert "10.0.0.6" not in shown(tmp_path)
        full[0] = False
        await anyio.sleep(LOOK_SECONDS)
        assert "10.0.0.6" in shown(tmp_path)
        group.cancel_scope.cancel()


async def test_in_a_stack_docker_says_where_the_machine_is(tmp_path: Path) -> None:
    class Swarm:
        place: SwarmNodeInfo | None = SwarmNodeInfo(
            "n", "10.9.0.1", "active", True, ("10.9.0.1:2377",), "", "", name="vm"
        )

        async def node(self) -> SwarmNodeInfo:
            if self.place is None:
                raise DriverError("away")
            return self.place

    swarm, stack = Swarm(), Stack("s", 7443, tmp_path, "", "", tmp_path)
    names = ServerNames(Settings(tmp_path, stack=stack), swarm, own_addresses=list)  # type: ignore[arg-type]
    assert {"vm", "10.9.0.1", "conductor"} <= set(await names.look())
    swarm.place = SwarmNodeInfo("n", "10.9.0.2", "active", True, ("10.9.0.2:2377",), "", "", name="vm")
    for _ in range(ASK_EVERY_LOOKS):
        await names.look()
    assert "10.9.0.2" in names.current and "10.9.0.1" not in names.current
    swarm.place = None
    for _ in range(ASK_EVERY_LOOKS):
        assert "10.9.0.2" in await names.look()
