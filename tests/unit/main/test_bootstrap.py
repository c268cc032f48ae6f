"""What every start of a cloud sees to."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.api.components import HOW, make_house

from controller.main.bootstrap import make_missing
from crds.errors import NotFound
from crds.kinds.service import SERVICE
from services.sdk.discovery import managed_services

pytestmark = pytest.mark.anyio
KEYS = SERVICE.key("key-manager", "default")


async def test_managed_services_that_are_missing_are_made_again_and_others_left_alone(tmp_path: Path) -> None:
    house = await make_house(tmp_path)
    registry, marker = house.registry, tmp_path / "founded"
    await make_missing(marker, registry, managed_services())
    names = [record.key.name for record in registry.store.list(SERVICE.group, SERVICE.plural, "default").records]
    assert {"key-manager", "storage-manager", "secrets-manager"} <= set(names)
    secrets = registry.get(SERVICE, SERVICE.key("secrets-manager", "default")).object["spec"]
    assert secrets["activation"] == "onDemand", "known from the first start on, and asleep"
    storage = SERVICE.key("storage-manager", "default")
    await registry.merge(SERVICE, storage, {"spec": {"enabled": False}}, HOW)
    await registry.delete(SERVICE, storage, HOW)
    await registry.merge(SERVICE, KEYS, {"spec": {"enabled": False}}, HOW)
    with pytest.raises(NotFound):
        registry.get(SERVICE, storage)
    await make_missing(marker, registry, managed_services())
    assert registry.get(SERVICE, storage).object["spec"]["enabled"] is True
    assert registry.get(SERVICE, KEYS).object["spec"]["enabled"] is False, "what people changed stays as it is"
    await house.close()
