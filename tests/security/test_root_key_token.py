"""The root key wrapped by a PKCS#11 token (SoftHSM): it never lies on disk, moves there and back, and a token that is
another one, locked or gone is said at the start.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest

from api.auth.key_rotation import SETTLING, RootKey
from api.auth.principal import AUTHENTICATED, MASTERS, SERVICES, Principal
from api.auth.routes.root_key import root_key_routes
from api.rest import rest_app
from controller.backup.errors import Refused
from controller.backup.locations import Folder
from controller.backup.repository import Repository
from controller.backup.sealing import Keys
from controller.kit import generations
from controller.kit.clock import SystemClock
from controller.kit.pkcs11_token import TokenKey
from controller.kit.threads import Inline
from controller.main.backups.creating import Job, create_backup
from controller.main.backups.restoring import Restored, restore_backup
from controller.main.components import Components, open_components
from controller.main.errors import Misuse, UserError
from controller.main.key_rotation import under
from controller.main.settings import load
from controller.resources.strategy import WriteOptions
from services.key_manager.kinds import KEY_MATERIAL
from services.key_manager.root_key import RootKeyCipher, Unsealable
from services.sdk.discovery import managed_services
from services.sdk.testing import FakeConductor, MemoryResources, fake_context
from services.sdk.wrapped_secrets import open_wrapped

pytestmark = pytest.mark.anyio
MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
HOW = WriteOptions(by="system:service:key-manager", validation="Strict")
UID, PIN = "0b0e8f0c-3f0e-4c59-9d6a-0c2d3f1d2a11", "1234"


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two tokens, `ours` and `other`, whose PIN is in `pin`. The library reads its settings once in a process."""
    pytest.importorskip("pkcs11", reason="the Python package python-pkcs11 is not installed")
    if not MODULE.exists():
        pytest.skip("SoftHSM is not here: apt-get install softhsm2")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    (folder / "pin").write_text(f"{PIN}\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    for label in ("ours", "other"):
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "5678"]
        subprocess.run(command, check=True, capture_output=True)
    yield folder
    del os.environ["SOFTHSM2_CONF"]


def said(tokens: Path, root_key: str = "pkcs11", **more: str) -> dict[str, str]:
    return {
        "AEREKOS_ROOT_KEY": root_key,
        "AEREKOS_PKCS11_MODULE": str(MODULE),
        "AEREKOS_PKCS11_TOKEN": "ours",
        "AEREKOS_PKCS11_PIN_FILE": str(tokens / "pin"),
        **more,
    }


async def start(home: Path, env: dict[str, str]) -> bytes:
    """A start that ends again: the root key as services get it."""
    async with open_components(load(env, home=home)) as components:
        return components.root_key.content()


async def test_a_key_that_is_made_in_a_token_never_lies_in_its_file(tmp_path: Path, tokens: Path) -> None:
    content = await start(tmp_path, said(tokens))
    (made,) = generations.parse(content)
    lies = (tmp_path / "secrets" / "root-key").read_bytes()
    assert lies.startswith(b"aerekos-key 2\n0 ") and b" pkcs11:" in lies
    assert base64.b64encode(made.key) not in lies and made.key not in lies
    assert await start(tmp_path, said(tokens)) == content
    with pytest.raises(OSError, match="no token opens it here"):
        generations.read(tmp_path / "secrets" / "root-key")


async def test_a_token_that_is_not_the_one_refuses_to_start_and_says_so(tmp_path: Path, tokens: Path) -> None:
    await start(tmp_path, said(tokens))
    (tokens / "wrong").write_text("9999")
    for wrong, words in (
        ({"AEREKOS_PKCS11_PIN_FILE": str(tokens / "wrong")}, "wrong PIN"),
        ({"AEREKOS_PKCS11_PIN_FILE": str(tokens / "gone")}, "the PIN is not read"),
        ({"AEREKOS_PKCS11_TOKEN": "nowhere"}, "no token of that label"),
        ({"AEREKOS_PKCS11_TOKEN": "other"}, "is not opened: the PKCS#11 token other"),
        ({"AEREKOS_PKCS11_MODULE": "/nowhere.so"}, "/nowhere.so"),
    ):
        with pytest.raises(UserError, match=words) as refused:
            await start(tmp_path, said(tokens, **wrong))
        assert PIN not in refused.value.message and "9999" not in refused.value.message
    with pytest.raises(UserError, match="wrapped by a PKCS#11 token, which is not set up"):
        await start(tmp_path, {})
    with pytest.raises(Misuse, match="pkcs11_token: is missing"):
        load(said(tokens, AEREKOS_PKCS11_TOKEN=""), home=tmp_path)


async def test_a_wrong_pin_is_not_tried_again_and_again(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token locks itself for good after a few."""
    pin = tokens / "changing"
    pin.write_text("4321")
    key = TokenKey(MODULE, "ours", "a", pin)
    with pytest.raises(OSError, match=r"wrong PIN$"):
        key.prepare()
    with (
        monkeypatch.context() as without,
        pytest.raises(OSError, match="not tried again until"),
    ):
        without.setattr("pkcs11.lib", lambda _: pytest.fail("the token is asked"))
        key.prepare()
    pin.write_text(PIN)
    key.prepare()


KEY_MANAGER = Principal("system:service:key-manager", frozenset({SERVICES, AUTHENTICATED}))


@pytest.mark.parametrize(
    ("who", "content", "status"),
    [
        (KEY_MANAGER, b"opened", 200),
        (KEY_MANAGER, None, 409),  # it lies in its file: nobody needs the network for it
        (Principal("key-manager", frozenset({MASTERS})), b"opened", 403),
        (replace(KEY_MANAGER, acting="root"), b"opened", 403),
        (replace(KEY_MANAGER, actors=("system:service:storage-manager",)), b"opened", 403),
        (Principal("system:service:storage-manager", frozenset({SERVICES})), b"opened", 403),
    ],
)
async def test_the_root_key_is_for_its_service_in_person(who: Principal, content: bytes | None, status: int) -> None:
    authenticator: Any = SimpleNamespace(authenticate=lambda scope: who)
    app = rest_app([root_key_routes(authenticator, ["key-manager"], lambda: content, Inline())])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://conductor") as client:
        answer = await client.post("/auth/root-key")
    assert answer.status_code == status and (status == 200 or "opened" not in answer.text)


async def test_what_is_wrapped_is_bound_to_its_generation_and_to_its_key(tokens: Path) -> None:
    ours, other = (TokenKey(MODULE, "ours", name, tokens / "pin") for name in ("a", "b"))
    ours.prepare()
    other.prepare()
    wrapped = ours.wrap(bytes(32), 3)
    assert ours.unwrap(wrapped, 3) == bytes(32)
    for tried in (lambda: ours.unwrap(wrapped, 4), lambda: other.unwrap(wrapped, 3), lambda: ours.unwrap(b"x", 3)):
        with pytest.raises(OSError, match="the PKCS#11 token ours"):
            tried()


async def seal(components: Components) -> None:
    sealed = RootKeyCipher(components.root_key.content()).close(b"m" * 32, UID, 1)
    spec = {"keyUid": UID, "version": 1, "sealed": base64.b64encode(sealed).decode()}
    await components.registry.create(KEY_MATERIAL, "default", {"metadata": {"name": "key-1"}, "spec": spec}, HOW)


async def reseal(components: Components) -> None:
    """As key-manager's Resealer does."""
    cipher, key = RootKeyCipher(components.root_key.content()), KEY_MATERIAL.key("key-1", "default")
    sealed = base64.b64decode(components.registry.get(KEY_MATERIAL, key).object["spec"]["sealed"])
    again = base64.b64encode(cipher.close(cipher.open(sealed, UID, 1), UID, 1)).decode()
    await components.registry.merge(KEY_MATERIAL, key, {"spec": {"sealed": again}}, HOW)


class Later:
    """After instances of before have ended."""

    def now(self) -> datetime:
        return datetime.now(UTC) + 2 * SETTLING


async def turn(home: Path, env: dict[str, str]) -> bytes:
    """A start with those settings, a rotation from its one end to the other, and the file then."""
    async with open_components(load(env, home=home)) as components:
        file = home / "secrets" / "root-key"
        later: Any = Later()
        parts = (lambda: under(components), lambda: None, components.root_key.wrapping)
        await RootKey(file, components.clock, *parts).rotate(revoke=False)
        await reseal(components)
        await RootKey(file, later, *parts).drop_old()
        return file.read_bytes()


async def test_it_moves_into_a_token_and_back_and_every_material_opens_all_the_way(
    tmp_path: Path, tokens: Path
) -> None:
    async with open_components(load({}, home=tmp_path)) as components:
        await seal(components)
        before = components.root_key.content()
    in_token = await turn(tmp_path, said(tokens))
    assert in_token.startswith(b"aerekos-key 2\n1 ") and in_token.count(b"\n") == 2
    now = await start(tmp_path, said(tokens))
    back = await turn(tmp_path, said(tokens, "file"))
    assert back.startswith(b"aerekos-key 1\n2 ") and back.count(b"\n") == 2
    async with open_components(load({}, home=tmp_path)) as components:
        key = KEY_MATERIAL.key("key-1", "default")
        sealed = base64.b64decode(components.registry.get(KEY_MATERIAL, key).object["spec"]["sealed"])
        assert RootKeyCipher(components.root_key.content()).open(sealed, UID, 1) == b"m" * 32
    for older in (before, now):
        with pytest.raises(Unsealable):
            RootKeyCipher(older).open(sealed, UID, 1)


async def test_a_service_gets_it_from_the_conductor_and_waits_while_that_is_away(tmp_path: Path) -> None:
    file, asked = tmp_path / "root-key", list[str]()
    wrapped = generations.Generation(0, b"", None, b"w" * 60)
    generations.write(file, [wrapped])
    plain = generations.text_of([generations.Generation(0, b"k" * 32)])

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        if len(asked) == 1:
            return httpx.Response(503, json={"kind": "Status", "code": 503, "message": "the token is away"})
        return httpx.Response(200, json={"content": base64.b64encode(plain).decode()})

    context = fake_context("key_manager", tmp_path, FakeConductor(SystemClock()), MemoryResources())
    context.secrets = {"root-key": file}
    context.client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="https://conductor")
    await open_wrapped(context)
    assert context.secret("root-key") == plain and asked == ["POST /auth/root-key"] * 2


async def test_a_backup_of_a_wrapped_root_key_is_restored_beside_its_token_alone(
    tmp_path: Path, tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_components(load(said(tokens), home=tmp_path / "home")) as components:
        await seal(components)
    (tmp_path / "home" / "run").mkdir(exist_ok=True)
    repository = Repository(Folder(tmp_path / "place"), Keys(bytes(32)))
    asked = Job(tmp_path / "home", "oak", managed_services(), "00000001", datetime.now(UTC))
    manifest = repository.manifest(create_backup(asked, repository, lambda: datetime.now(UTC)).id)

    async def restored(name: str) -> Restored:
        return await anyio.to_thread.run_sync(
            restore_backup, repository, manifest, tmp_path / name, managed_services()
        )

    with pytest.raises(Refused, match="AEREKOS_PKCS11_MODULE"):
        await restored("without")
    monkeypatch.setenv("AEREKOS_ROOT_KEY", "pkcs11")
    with pytest.raises(Refused, match="pkcs11_module: is missing"):
        await restored("without")
    for name, value in said(tokens).items():
        monkeypatch.setenv(name, value)
    assert (await restored("beside")).kinds["keymaterials"] == 1
    monkeypatch.setenv("AEREKOS_PKCS11_TOKEN", "other")
    with pytest.raises(Refused, match="the PKCS#11 token other"):
        await restored("other")
    assert [each for each in ("without", "other") if (tmp_path / each).exists()] == []
