"""The root key of KMS at a start: another one than keys are sealed under is refused, unless they were given up."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.kit import generations
from controller.kit.generations import drop_old, new, read, rotate
from controller.main.components import open_components
from controller.main.errors import UserError
from controller.main.settings import load
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from services.key_manager.kinds import KEY_MATERIAL
from services.key_manager.root_key import RootKeyCipher, generation_of_text

pytestmark = pytest.mark.anyio
HOW = WriteOptions(by="system:service:key-manager", validation="Strict")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
UID = "0b0e8f0c-3f0e-4c59-9d6a-0c2d3f1d2a11"


def files(home: Path) -> tuple[Path, Path]:
    """The key, and the consent to lose what it sealed."""
    return home / "secrets" / "root-key", home / "secrets" / "root-key.give-up"


async def start(home: Path, *materials: str) -> None:
    """A start that ends again, in between which key-manager wrote those."""
    async with open_components(load({}, home=home)) as components:
        for name in materials:
            sealed = RootKeyCipher((home / "secrets" / "root-key").read_bytes()).close(bytes(32), UID, 1)
            await write(components.registry, name, base64.b64encode(sealed).decode())


async def write(registry: Registry, name: str, sealed: str) -> None:
    body = {"metadata": {"name": name}, "spec": {"keyUid": UID, "version": 1, "sealed": sealed}}
    await registry.create(KEY_MATERIAL, "default", body, HOW)


async def test_a_root_key_that_is_gone_is_not_made_anew_while_keys_are_sealed_under_it(tmp_path: Path) -> None:
    file, consent = files(tmp_path)
    await start(tmp_path, "key-1")
    kept = file.read_bytes()
    file.unlink()
    with pytest.raises(UserError, match="root-key is gone") as refused:
        await start(tmp_path)
    assert not file.exists() and str(consent) in refused.value.hint and "mv " not in refused.value.hint
    file.write_bytes(kept)
    await start(tmp_path)
    assert file.read_bytes() == kept


async def test_before_there_are_keys_a_new_one_harms_nobody(tmp_path: Path) -> None:
    file, _ = files(tmp_path)
    await start(tmp_path)
    file.unlink()
    await start(tmp_path)
    assert len(read(file)) == 1


ANOTHER = bytes(range(32))
OF_ANOTHER_CLOUD = b"aerekos-key 1\n7 - " + base64.b64encode(ANOTHER) + b"\n"


@pytest.mark.parametrize("other", [ANOTHER, OF_ANOTHER_CLOUD], ids=["32 bytes", "of a higher generation"])
async def test_another_root_key_refuses_to_start_and_says_what_to_do(tmp_path: Path, other: bytes) -> None:
    file, consent = files(tmp_path)
    await start(tmp_path, "key-1", "key-2")
    kept = file.read_bytes()
    file.write_bytes(other)
    with pytest.raises(UserError, match="is not the root key of this cloud: it opens nothing") as refused:
        await start(tmp_path)
    assert str(file) in refused.value.message
    for part in ("put a backup of it in its place", f"mv {file} {tmp_path}/root-key.before; touch {consent}"):
        assert part in refused.value.hint
    consent.touch()
    with pytest.raises(UserError, match="is not the root key"):  # a key is never overwritten: they move it away
        await start(tmp_path)
    assert file.read_bytes() == other and consent.exists()
    file.write_bytes(kept)
    await start(tmp_path)
    assert not consent.exists(), "consent that was not needed is not kept for the next key that is missing"


async def test_a_root_key_of_before_the_last_rotation_is_another_one(tmp_path: Path) -> None:
    file, _ = files(tmp_path)
    await start(tmp_path)
    before = file.read_bytes()
    rotate(file, NOW)
    await start(tmp_path, "key-1")
    file.write_bytes(before)
    with pytest.raises(UserError, match=r"is not the root key .*sealed under generation 1 of the root key"):
        await start(tmp_path)


async def test_material_that_is_damaged_says_nothing_of_the_key(tmp_path: Path) -> None:
    async with open_components(load({}, home=tmp_path)) as components:
        for number, sealed in enumerate((b"\x00", b"\x01" + bytes(64), b"\x02" + bytes(64))):
            await write(components.registry, f"damaged-{number}", base64.b64encode(sealed).decode())
    with pytest.raises(UserError, match="is not the root key"):  # nobody can tell, while nothing opens
        await start(tmp_path)
    file, consent = files(tmp_path)
    file.unlink()
    consent.touch()
    await start(tmp_path, "key-1")
    assert [each.number for each in read(file)] == [1]
    await start(tmp_path)


async def test_keys_that_were_given_up_stay_so_and_the_key_made_then_is_the_one(tmp_path: Path) -> None:
    file, consent = files(tmp_path)
    await start(tmp_path)
    rotate(file, NOW)
    drop_old(file)
    await start(tmp_path, "key-1")
    file.rename(tmp_path / "root-key.before")
    consent.touch()
    await start(tmp_path)
    assert not consent.exists() and [each.number for each in read(file)] == [2], "above all that is given up"
    made = file.read_bytes()
    await start(tmp_path)
    assert file.read_bytes() == made, "a start needs no consent again"
    generations.write(file, [new(2, NOW)])
    with pytest.raises(UserError, match="is not the root key"):  # consent was given for one key, not for any
        await start(tmp_path)
    file.write_bytes(made)
    rotate(file, NOW)
    await start(tmp_path, "key-2")
    drop_old(file)
    file.write_bytes(made)
    with pytest.raises(UserError, match="is not the root key"):  # nor for what was made before a rotation
        await start(tmp_path)


async def test_a_start_that_is_killed_while_it_gives_up_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, consent = files(tmp_path)
    await start(tmp_path, "key-1")
    file.unlink()
    consent.touch()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(generations, "write", killed)
        await start(tmp_path)
    assert not file.exists() and consent.exists()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", killed)
        await start(tmp_path)
    assert file.exists() and consent.exists()
    made = file.read_bytes()
    await start(tmp_path)
    assert file.read_bytes() == made and not consent.exists()


async def test_what_is_made_after_a_loss_is_told_from_what_was_lost(tmp_path: Path) -> None:
    file, consent = files(tmp_path)
    await start(tmp_path, "key-1")
    before = file.read_bytes()
    file.unlink()
    consent.touch()
    await start(tmp_path, "key-2")
    cipher, lost = RootKeyCipher(file.read_bytes()), RootKeyCipher(before).close(bytes(32), UID, 1)
    sealed = base64.b64encode(cipher.close(bytes(32), UID, 1)).decode()
    assert cipher.gave_up(lost) and generation_of_text(sealed) == 1
    assert not RootKeyCipher(before).gave_up(lost)
