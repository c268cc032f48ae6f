"""What a managed service is handed: its own credential, and the secrets its manifest asks for. No name clashes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from controller.main.service_environment import ProcessEnvironment
from controller.reconcilers.service_workload import workload
from controller.runtime.engines.finder import EngineFinder
from crds.kinds.service import SERVICE, ServiceSpec
from services.sdk.discovery import managed_services

pytestmark = pytest.mark.anyio
MANIFESTS = {each.name: each for each in managed_services()}


class House:
    """As much of a conductor's house as is asked for."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = SimpleNamespace(url="https://127.0.0.1:7443", otlp_endpoint="")
        self.authority = SimpleNamespace(ca_file=home / "tls" / "ca.crt")
        self.accounts = SimpleNamespace(client_secret=lambda client, key: f"secret of {key}")


async def given(house: Any, name: str, namespace: str, managed: str) -> Any:
    service = SERVICE.new(name, namespace=namespace, spec=ServiceSpec(managed=managed))
    return await ProcessEnvironment(house, EngineFinder())(service, MANIFESTS[managed])


async def test_two_services_of_one_name_do_not_share_a_credential(tmp_path: Path) -> None:
    house = House(tmp_path)
    files = []
    for namespace in ("default", "acme"):
        env = (await given(house, "key-manager", namespace, "key_manager")).env
        files.append(Path(env["AEREKOS_CREDENTIAL"]))
    assert len(set(files)) == 2
    kept = [orjson.loads(each.read_bytes())["clientSecret"] for each in files]
    assert len(set(kept)) == 2
    assert all(each.stat().st_mode & 0o777 == 0o600 for each in files)


@pytest.mark.parametrize("managed", sorted(MANIFESTS))
async def test_it_reads_what_it_is_told_of_and_the_secrets_of_its_manifest(tmp_path: Path, managed: str) -> None:
    manifest = MANIFESTS[managed]
    told = await given(House(tmp_path), manifest.service_name, "default", managed)
    secrets = {Path(each).name for each in told.reads if Path(each).parent == tmp_path / "secrets"}
    assert secrets == set(manifest.secrets)
    others = {Path(each).name for each in told.reads} - secrets
    assert others == {"ca.crt", f"{manifest.service_name}.json"}, "a new file: is it for every service to read?"
    assert all(Path(each).is_relative_to(tmp_path) for each in told.reads)


async def test_what_it_was_handed_is_rolled_out_when_it_changes(tmp_path: Path) -> None:
    """A running service holds a copy: another credential or secret would never reach it otherwise."""
    house = House(tmp_path)
    revisions = []
    for secret in ("one", "one", "another"):
        house.accounts.client_secret = lambda client, key, secret=secret: secret
        service = SERVICE.new("key-manager", namespace="default", spec=ServiceSpec(managed="key_manager"))
        told = await ProcessEnvironment(house, EngineFinder())(service, MANIFESTS["key_manager"])  # type: ignore[arg-type]
        revisions.append(workload(service, MANIFESTS["key_manager"], told, ()).revision)
    assert revisions[0] == revisions[1] != revisions[2]


def test_no_service_but_the_key_manager_asks_for_the_root_key() -> None:
    assert {each.name for each in MANIFESTS.values() if "root-key" in each.secrets} == {"key_manager"}
    assert not any({"master-key", "store-key"} & set(each.secrets) for each in MANIFESTS.values())
