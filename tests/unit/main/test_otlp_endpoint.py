"""Where spans go is told to managed services, and to nobody where nothing is traced."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.main.service_environment import ProcessEnvironment
from controller.main.settings import Settings
from crds.kinds.service import Service
from crds.managed import ManagedService


@pytest.mark.anyio
@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:4318"])
async def test_a_managed_service_is_told_where_spans_go_and_only_then(tmp_path: Path, endpoint: str) -> None:
    settings = Settings(tmp_path, otlp_endpoint=endpoint)
    authority = SimpleNamespace(ca_file=tmp_path / "ca.crt")
    accounts = SimpleNamespace(client_secret=lambda client, key: "secret")
    components: Any = SimpleNamespace(settings=settings, home=tmp_path, authority=authority, accounts=accounts)
    service = Service.model_validate({"metadata": {"name": "s", "namespace": "default"}, "spec": {"managed": "s"}})
    given = await ProcessEnvironment(components, components)(service, ManagedService("s", "S", "", "x:y"))
    assert given.env.get("AEREKOS_OTLP_ENDPOINT", "") == endpoint
