"""The root key of KMS is made once: what it sealed would look well under another one, and open for nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.kit.generations import read
from controller.main.components import open_components
from controller.main.errors import UserError
from controller.main.settings import load
from controller.resources.strategy import WriteOptions
from services.key_manager.kinds import KEY_MATERIAL

pytestmark = pytest.mark.anyio
HOW = WriteOptions(by="system:service:key-manager", validation="Strict")
MATERIAL = {"metadata": {"name": "key-1"}, "spec": {"keyUid": "u", "version": 1, "sealed": "AA=="}}


async def test_a_root_key_that_is_gone_is_not_made_anew_while_keys_are_sealed_under_it(tmp_path: Path) -> None:
    settings = load({}, home=tmp_path)
    file = tmp_path / "secrets" / "root-key"
    async with open_components(settings) as components:
        first = read(file)
        await components.registry.create(KEY_MATERIAL, "default", MATERIAL, HOW)
    file.unlink()
    with pytest.raises(UserError, match="root-key is gone") as refused:
        async with open_components(settings):
            pytest.fail("it was opened")
    assert not file.exists() and str(file) in refused.value.hint
    file.write_bytes(bytes(range(32)))
    async with open_components(settings):
        assert read(file)[0].key == bytes(range(32)) != first[0].key


async def test_before_there_are_keys_a_new_one_harms_nobody(tmp_path: Path) -> None:
    settings = load({}, home=tmp_path)
    file = tmp_path / "secrets" / "root-key"
    async with open_components(settings):
        pass
    file.unlink()
    async with open_components(settings):
        assert len(read(file)) == 1
