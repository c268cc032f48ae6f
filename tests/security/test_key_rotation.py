"""Root, master and store key take turns by hand: nothing is lost on the way, and old ones are worth nothing then."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from clouds import Cloud, a_port, eventually
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner
from unit.api.components import ADMIN, HOW, House, make_house

from api.auth.key_rotation import SETTLING, MasterKey, RootKey, StoreKey
from api.auth.principal import Principal
from cli.main import app
from controller.kit import generations
from controller.kit.clock import SystemClock
from controller.kit.threads import Inline
from controller.resources.strategy import WriteOptions
from controller.store import resealing as store_resealing
from controller.store.records import Change, Store, StoreBroken
from controller.store.sealing import Sealing
from controller.store.sql import open_store
from crds.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound, Unauthorized
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER
from services.key_manager.ciphertext import KeyVersion
from services.key_manager.key_state import uid_of
from services.key_manager.keyring import Keyring
from services.key_manager.kinds import KEY, KEY_MATERIAL, KeySpec
from services.key_manager.resealer import Resealer
from services.key_manager.root_key import NotYetOurs, RootKeyCipher, Unsealable, generation_of_text
from services.sdk.testing import FakeConductor, MemoryResources, fake_context

pytestmark = pytest.mark.anyio
RAW, NOW = bytes(range(32)), datetime(2026, 5, 1, tzinfo=UTC)
KINDS = {("", "secrets")}


# --- the file ---


def test_a_file_of_before_is_generation_0_and_stays_one_that_opens(tmp_path: Path) -> None:
    file = tmp_path / "root-key"
    file.write_bytes(RAW)
    assert [(each.number, each.key) for each in generations.keep(file, NOW)] == [(0, RAW)]
    assert file.read_bytes() == RAW, "looking is no change"
    turned = generations.rotate(file, NOW)
    assert [each.number for each in turned] == [1, 0] and turned[1].key == RAW != turned[0].key
    assert turned[0].made == NOW and file.stat().st_mode & 0o777 == 0o600
    assert [each.number for each in generations.drop_old(file)] == [1]
    assert [each.number for each in generations.rotate(file, NOW)] == [2, 1], "a number is never used again"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(31),
        b"aerekos-key 1\n",
        b"aerekos-key 2\n0 - " + base64.b64encode(RAW),
        b"aerekos-key 1\n0 - " + base64.b64encode(RAW[:31]),
        b"aerekos-key 1\n0 - " + base64.b64encode(RAW) + b"\n1 - " + base64.b64encode(RAW),
        b"aerekos-key 1\n1 - " + base64.b64encode(RAW) + b"\n0 - AAAA",
        b"aerekos-key 1\n-1 - " + base64.b64encode(RAW),
    ],
)
def test_a_file_that_is_not_whole_is_named_and_never_used_or_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "master-key"
    file.write_bytes(content)
    for ask in (generations.keep, generations.rotate):
        with pytest.raises(OSError, match="put a backup in its place") as refused:
            ask(file, NOW)
        assert refused.value.filename == str(file)
    with pytest.raises(ValueError, match="root key must"):
        RootKeyCipher(content)
    assert file.read_bytes() == content


@given(st.binary(max_size=200))
def test_whatever_is_in_a_key_file_is_keys_or_an_error(content: bytes) -> None:
    try:
        held = generations.parse(content)
    except OSError:
        return
    assert held and all(len(each.key) == 32 for each in held)


def test_a_rotation_that_is_killed_leaves_the_file_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "root-key"
    before = generations.keep(file, NOW)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        generations.rotate(file, NOW)
    monkeypatch.undo()
    assert generations.read(file) == before and [each.name for each in tmp_path.iterdir()] == ["root-key"]


# --- the root key ---


def first_form(material: bytes, uid: str, version: int) -> bytes:
    """As the version before this one sealed."""
    bound = f"aerekos key material\x00{uid}\x00{version}".encode()
    return b"\x01" + bytes(12) + AESGCM(RAW).encrypt(bytes(12), material, bound)


def test_an_envelope_of_before_opens_and_none_is_told_to_be_of_another_generation(tmp_path: Path) -> None:
    file, uid = tmp_path / "root-key", str(uuid4())
    file.write_bytes(RAW)
    old = first_form(b"m" * 32, uid, 1)
    assert RootKeyCipher(RAW).open(old, uid, 1) == b"m" * 32 and not RootKeyCipher(RAW).is_current(old)
    generations.rotate(file, NOW)
    both = RootKeyCipher(file.read_bytes())
    new = both.close(b"m" * 32, uid, 1)
    assert both.open(old, uid, 1) == both.open(new, uid, 1) == b"m" * 32
    assert both.is_current(new) and not both.is_current(old)
    forged = new[:1] + bytes(4) + new[5:]
    with pytest.raises(Unsealable):
        both.open(forged, uid, 1)
    with pytest.raises(NotYetOurs):
        RootKeyCipher(RAW).open(new, uid, 1)
    generations.drop_old(file)
    alone = RootKeyCipher(file.read_bytes())
    assert alone.open(new, uid, 1) == b"m" * 32
    with pytest.raises(Unsealable, match=r"another root key.*backup of secrets/root-key"):
        alone.open(old, uid, 1)


class Room:
    """Keys and their material in memory, the root key in a file, and key_manager as often as it is started."""

    def __init__(self, folder: Path) -> None:
        self.file, self.resources, self.rolled_out = folder / "root-key", MemoryResources(), 0
        self.file.write_bytes(RAW)
        self.clock = _Clock()
        self.turn = RootKey(self.file, self.clock, self.under, self._roll_out)

    def _roll_out(self) -> None:
        self.rolled_out += 1

    def under(self) -> Counter[int]:
        stored = [body for (plural, *_), body in self.resources.items.items() if plural == KEY_MATERIAL.plural]
        return Counter(generation_of_text(each["spec"]["sealed"]) for each in stored)

    async def start(self) -> Keyring:
        """A key_manager with the file as it is now, which has read all there is."""
        context = fake_context("key_manager", self.file.parent, FakeConductor(), self.resources)
        ring = Keyring(context, RootKeyCipher(self.file.read_bytes()))
        for each in (await self.resources.list(KEY_MATERIAL)).items:
            ring.materials.put(each)
        return ring

    async def keys(self, count: int) -> list[KeyVersion]:
        ring, labels = await self.start(), []
        for number in range(count):
            key = await self.resources.create(KEY, KEY.new(f"k{number}", namespace="default", spec=KeySpec()))
            await ring.ensure_material(key)
            labels.append(KeyVersion(uid_of(key), 1))
        return labels

    async def opened(self, labels: list[KeyVersion]) -> list[bytes]:
        ring = await self.start()
        return [await ring.open(each, "default") for each in labels]


class _Clock(SystemClock):
    def __init__(self) -> None:
        self.moved = timedelta()

    def now(self) -> datetime:
        return NOW + self.moved


async def test_all_material_comes_under_the_newest_root_key_and_the_old_one_goes(tmp_path: Path) -> None:
    room = Room(tmp_path)
    labels = await room.keys(3)
    before = await room.opened(labels)
    told = await room.turn.rotate(revoke=False)
    assert (told.older, told.waiting, room.rolled_out) == (1, 3, 1) and "--drop-old" in told.then
    room.clock.moved += SETTLING
    with pytest.raises(Conflict, match="3 key materials are still sealed under an older root key"):
        await room.turn.drop_old()
    with pytest.raises(Conflict, match="3 key materials"):
        await room.turn.rotate(revoke=False)
    assert await room.opened(labels) == before, "in between both open"
    ring = await room.start()
    assert await Resealer(ring).once() == 3 and await Resealer(ring).once() == 0
    assert room.under() == {1: 3} and await room.opened(labels) == before
    with pytest.raises(Conflict, match="not finished"):
        await room.turn.rotate(revoke=False)
    told = await room.turn.drop_old()
    assert (told.older, told.waiting, told.then, room.rolled_out) == (0, 0, "", 2)
    assert RAW not in room.file.read_bytes() and base64.b64encode(RAW) not in room.file.read_bytes()
    assert await room.opened(labels) == before
    assert (await room.turn.drop_old()).older == 0 and room.rolled_out == 2, "again: nothing happens"


async def test_it_is_killed_after_each_single_write_and_goes_on(tmp_path: Path) -> None:
    room = Room(tmp_path)
    labels = await room.keys(4)
    before = await room.opened(labels)
    await room.turn.rotate(revoke=False)
    write = room.resources.patch
    for done in range(1, 5):
        ring, written = await room.start(), 0

        async def once(*given_: Any, **more: Any) -> Any:
            nonlocal written
            if written:
                raise KeyboardInterrupt
            written += 1
            return await write(*given_, **more)

        room.resources.patch = once  # type: ignore[method-assign]
        if done < 4:
            with pytest.raises(KeyboardInterrupt):
                await Resealer(ring).once()
        else:
            await Resealer(ring).once()
        room.resources.patch = write  # type: ignore[method-assign]
        assert room.under()[1] == done and await room.opened(labels) == before


async def test_two_instances_at_once_and_one_with_an_old_copy_do_no_harm(tmp_path: Path) -> None:
    room = Room(tmp_path)
    labels = await room.keys(2)
    before = await room.opened(labels)
    await room.turn.rotate(revoke=False)
    one, other = await room.start(), await room.start()
    assert await Resealer(one).once() == 2 and await Resealer(other).once() == 0, "its copy was stale: refused"
    assert await room.opened(labels) == before


async def test_what_was_given_up_holds_no_rotation_up_and_opens_again_when_its_key_is_found(tmp_path: Path) -> None:
    room = Room(tmp_path)
    lost = await room.keys(2)
    before = await room.opened(lost)
    generations.write(room.file, [generations.new(1, NOW)])
    ring = await room.start()
    key = await room.resources.create(KEY, KEY.new("after", namespace="default", spec=KeySpec()))
    await ring.ensure_material(key)
    assert (await room.turn.rotate(revoke=False)).waiting == 1
    assert await Resealer(await room.start()).once() == 1
    room.clock.moved += SETTLING
    assert (await room.turn.drop_old()).waiting == 0
    assert room.under() == {0: 2, 2: 1} and (await room.turn.rotate(revoke=False)).older == 1
    line = f"0 - {base64.b64encode(RAW).decode()}\n"
    room.file.write_bytes(room.file.read_bytes() + line.encode())
    assert await room.opened(lost) == before
    assert await Resealer(await room.start()).once() == 3 and room.under() == {3: 3}


async def test_what_does_not_open_stays_as_it_is_and_keeps_the_old_key(tmp_path: Path) -> None:
    room = Room(tmp_path)
    await room.keys(2)
    place = next(each for each in room.resources.items if each[0] == KEY_MATERIAL.plural)
    broken = base64.b64encode(first_form(bytes(32), "another", 1)).decode()
    room.resources.items[place]["spec"]["sealed"] = broken
    await room.turn.rotate(revoke=False)
    assert await Resealer(await room.start()).once() == 1
    assert room.resources.items[place]["spec"]["sealed"] == broken
    room.clock.moved += SETTLING
    with pytest.raises(Conflict, match="1 key materials"):
        await room.turn.drop_old()


async def test_an_instance_from_before_gets_its_time_and_a_leak_is_no_reason_to_lose_data(tmp_path: Path) -> None:
    room = Room(tmp_path)
    await room.turn.rotate(revoke=False)
    with pytest.raises(Conflict, match="try 10 minutes after"):
        await room.turn.drop_old()
    with pytest.raises(BadRequest, match="would be lost"):
        await room.turn.rotate(revoke=True)


async def test_material_changes_by_a_newer_root_key_alone(tmp_path: Path) -> None:
    house = await make_house(tmp_path)
    for kind in (KEY, KEY_MATERIAL):
        house.registry.catalog.add(kind)
    us, file, uid = WriteOptions(by="system:service:key-manager"), tmp_path / "root-key", str(uuid4())
    file.write_bytes(RAW)
    generations.rotate(file, NOW)
    old, new = RootKeyCipher(RAW), RootKeyCipher(file.read_bytes())

    def told(seal: RootKeyCipher, version: int = 1) -> str:
        return base64.b64encode(seal.close(bytes(32), uid, version)).decode()

    async def make(name: str, seal: RootKeyCipher) -> None:
        spec = {"keyUid": uid, "version": 1, "sealed": told(seal)}
        await house.registry.create(KEY_MATERIAL, "default", {"metadata": {"name": name}, "spec": spec}, us)

    await make("a", old)
    key = KEY_MATERIAL.key("a", "default")
    for change in ({"sealed": told(old)}, {"sealed": "bm9uZQ=="}, {"sealed": told(new), "version": 2}):
        with pytest.raises(Invalid, match="only sealed under a newer root key"):
            await house.registry.merge(KEY_MATERIAL, key, {"spec": change}, us)
    with pytest.raises(Forbidden):
        await house.registry.merge(KEY_MATERIAL, key, {"spec": {"sealed": told(new)}}, HOW)
    await house.registry.merge(KEY_MATERIAL, key, {"spec": {"sealed": told(new)}}, us)
    with pytest.raises(Invalid, match="only sealed under a newer"):
        await house.registry.merge(KEY_MATERIAL, key, {"spec": {"sealed": told(old)}}, us)
    with pytest.raises(Conflict, match="newer generation"):
        await make("b", old)
    await make("b", new)
    await house.close()


# --- the store's key ---


@asynccontextmanager
async def opened_store(home: Path) -> AsyncIterator[tuple[Store, Sealing, StoreKey]]:
    sealing = Sealing(home / "store-key", KINDS)
    url = f"sqlite:///{home}/records.db"
    store = await open_store(url, threads=Inline(), clock=SystemClock(), sealing=sealing)
    try:
        yield store, sealing, StoreKey(sealing, _Clock())
    finally:
        await store.close()


async def write(store: Store, name: str) -> None:
    body = {"metadata": {"name": name, "uid": "1"}, "data": {"a": name}}
    await store.write([Change(SECRET.key(name, "default"), body, 0)], by="test")


def there(store: Store, *names: str) -> bool:
    return all(store.get(SECRET.key(each, "default")) is not None for each in names)


async def test_the_store_s_key_turns_while_it_runs_and_the_old_one_goes_after_a_start(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as (store, sealing, turn):
        await write(store, "a")
        first = sealing.newest
        told = await turn.rotate(revoke=False)
        assert told.older == 1 and sealing.newest != first and first in (tmp_path / "store-key").read_text()
        await write(store, "b")
        for ask in (turn.rotate(revoke=False), turn.drop_old()):
            with pytest.raises(Conflict, match="a start seals it again"):
                await ask
        with pytest.raises(BadRequest, match="would be lost"):
            await turn.rotate(revoke=True)
    async with opened_store(tmp_path) as (store, sealing, turn):
        assert there(store, "a", "b")
        with pytest.raises(Conflict, match="not finished"):
            await turn.rotate(revoke=False)
        assert (await turn.drop_old()).older == 0 and (await turn.drop_old()).older == 0
        assert first not in (tmp_path / "store-key").read_text()
        await write(store, "c")
    async with opened_store(tmp_path) as (store, _, _):
        assert there(store, "a", "b", "c")


async def test_the_new_key_of_the_store_is_on_disk_before_it_seals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_store(tmp_path) as (store, sealing, turn):
        await write(store, "a")
        first = sealing.newest

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            await turn.rotate(revoke=False)
        monkeypatch.undo()
        assert sealing.newest == first
        await write(store, "b")
    async with opened_store(tmp_path) as (store, sealing, _):
        assert there(store, "a", "b") and sealing.newest == first


async def test_a_start_that_is_killed_while_it_seals_again_does_not_let_the_old_key_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_store(tmp_path) as (store, _, turn):
        await write(store, "a")
        await turn.rotate(revoke=False)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store_resealing, "_rewrite", killed)
    with pytest.raises(KeyboardInterrupt):
        async with opened_store(tmp_path):
            pass
    monkeypatch.undo()
    assert len((tmp_path / "store-key").read_text().splitlines()) == 2
    async with opened_store(tmp_path) as (store, _, turn):
        assert there(store, "a")
        await turn.drop_old()
    (tmp_path / "store-key").unlink()
    with pytest.raises(StoreBroken, match="put that file back"):
        async with opened_store(tmp_path):
            pass


async def test_a_store_key_that_was_changed_by_hand_is_not_written_over(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as (_, sealing, turn):
        other = Sealing(tmp_path / "other", KINDS)
        other.keep()
        file = tmp_path / "store-key"
        changed = (tmp_path / "other").read_bytes() + file.read_bytes()
        file.write_bytes(changed)
        with pytest.raises(OSError, match="start again first"):
            await turn.rotate(revoke=False)
        assert file.read_bytes() == changed and sealing.older == 0


# --- the master key ---


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    await made.add_user("ann", "admin", password="correct horse battery")
    yield made
    await made.close()


def master(house: House, folder: Path) -> tuple[MasterKey, list[int]]:
    file, rolled_out = folder / "master-key", [0]
    file.write_bytes(b"m" * 32)

    def roll_out() -> None:
        rolled_out[0] += 1

    derived = house.accounts._derived
    return MasterKey(file, house.clock, derived.use, house.accounts.factors.seal_again, roll_out), rolled_out


async def test_services_are_told_a_new_secret_and_the_old_one_is_good_until_it_is_dropped(
    house: House, tmp_path: Path
) -> None:
    turn, rolled_out = master(house, tmp_path)
    await house.add_service("key-manager")
    await house.add_worker("oak")
    ids = {"service:key-manager": SERVICE.key("key-manager"), "worker:oak": WORKER.key("oak")}
    old = {each: house.accounts.client_secret(each, key) for each, key in ids.items()}
    assert (await turn.rotate(revoke=False)).older == 1 and rolled_out == [1]
    new = {each: house.accounts.client_secret(each, key) for each, key in ids.items()}
    for each in ids:
        assert new[each] != old[each]
        assert house.accounts.identity_token(each, new[each], "api") and house.accounts.identity_token(
            each, old[each], "api"
        )
    with pytest.raises(Conflict, match="not finished"):
        await turn.rotate(revoke=False)
    assert (await turn.drop_old()).older == 0
    for each in ids:
        assert house.accounts.identity_token(each, new[each], "api")
        with pytest.raises(Unauthorized):
            house.accounts.identity_token(each, old[each], "api")


async def test_a_machine_gets_its_new_secret_with_its_next_token(house: House, tmp_path: Path) -> None:
    turn, _ = master(house, tmp_path)
    await house.add_worker("oak")
    await house.add_service("key-manager")
    ids = {"worker:oak": WORKER.key("oak"), "service:key-manager": SERVICE.key("key-manager")}
    old = {each: house.accounts.client_secret(each, key) for each, key in ids.items()}

    async def told(client_id: str, secret: str) -> Any:
        async with house.client() as client:
            body = {"clientId": client_id, "clientSecret": secret}
            return (await client.post("/auth/token", json=body)).json().get("clientSecret")

    assert [await told(*each) for each in old.items()] == [None, None]
    await turn.rotate(revoke=False)
    new = await told("worker:oak", old["worker:oak"])
    assert new == house.accounts.client_secret("worker:oak", WORKER.key("oak")) != old["worker:oak"]
    assert await told("worker:oak", new) is None and await told("worker:oak", "guessed") is None
    assert await told("service:key-manager", old["service:key-manager"]) is None, "services have a file"
    await turn.drop_old()
    assert (
        house.accounts.identity_token("worker:oak", new, "api")
        and await told("worker:oak", old["worker:oak"]) is None
    )


async def test_an_aws_key_goes_with_the_master_key_that_derived_it(house: House, tmp_path: Path) -> None:
    turn, _ = master(house, tmp_path)
    await house.add_user("bob")
    keys = house.accounts.access_keys
    first, bobs = keys.usable("ann"), keys.usable("bob")
    keys.used(first.id, "s3")
    await keys.note_uses()
    await turn.rotate(revoke=False)
    second = (await keys.create("ann", by="ann")).pair
    assert {each.pair.id for each in keys.of("ann")} == {first.id, second.id}
    assert [keys.owner_of(each.id)[1] for each in (first, second, bobs)] == [first, second, bobs], "all go on"
    await turn.drop_old()
    assert keys.owner_of(second.id)[1] == second and [each.pair for each in keys.of("ann")] == [second]
    for lost in (first, bobs):
        with pytest.raises(NotFound):
            keys.owner_of(lost.id)
    another = keys.usable("bob")
    assert another.id != bobs.id and keys.owner_of(another.id)[1] == another, "who used none has another first one"
    assert len({(await keys.create("ann", by="ann")).pair.id, *(each.pair.id for each in keys.of("ann"))}) == 2


async def test_a_first_key_that_was_deleted_does_not_come_back_with_another_master_key(
    house: House, tmp_path: Path
) -> None:
    turn, _ = master(house, tmp_path)
    keys = house.accounts.access_keys
    await keys.set_state("ann", keys.usable("ann").id, "Deleted", by="ann")
    await turn.rotate(revoke=True)
    with pytest.raises(NotFound, match="no access key that is active"):
        keys.usable("ann")
    unasked = house.accounts._derived.access_key("ann", str(house.accounts.user("ann").metadata.uid))  # type: ignore[union-attr]
    with pytest.raises(NotFound):
        keys.owner_of(unasked.id)


async def test_second_factors_are_sealed_again_before_a_master_key_goes(house: House, tmp_path: Path) -> None:
    turn, _ = master(house, tmp_path)
    factors, ann = house.accounts.factors, house.accounts.user("ann")
    assert ann is not None
    await factors.begin(ann)
    kept = house.accounts.people.credential("ann").spec.totp  # type: ignore[union-attr]
    assert kept is not None
    secret = factors._opened(ann, kept)
    assert (await turn.rotate(revoke=False)).waiting == 0
    again = house.accounts.people.credential("ann").spec.totp  # type: ignore[union-attr]
    assert again is not None and again.sealed != kept.sealed and factors._opened(ann, again) == secret
    await turn.drop_old()
    assert factors._opened(ann, again) == secret
    with pytest.raises(Unauthorized):
        factors._opened(ann, kept)


async def test_a_master_key_that_leaked_is_worth_nothing_at_once(house: House, tmp_path: Path) -> None:
    turn, _ = master(house, tmp_path)
    await house.add_worker("oak")
    stolen = house.accounts.client_secret("worker:oak", WORKER.key("oak"))
    assert (await turn.rotate(revoke=True)).older == 0
    with pytest.raises(Unauthorized):
        house.accounts.identity_token("worker:oak", stolen, "api")
    assert [each.number for each in generations.read(tmp_path / "master-key")] == [1]


# --- asked for ---


def test_in_a_running_cloud_every_key_turns_and_what_was_encrypted_is_read(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "home", a_port())
    try:
        _everywhere(cloud)
    finally:
        cloud.command("down")


def _everywhere(cloud: Cloud) -> None:
    cloud.do("up")
    eventually(lambda: cloud.is_ready("key-manager"), "key-manager is ready")
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    blob = cloud.kms("encrypt", "--key-id", key, "--plaintext", "before")["CiphertextBlob"]
    sealed = cloud.home.with_name("sealed")
    sealed.write_bytes(base64.b64decode(blob))
    first, credential = cloud.instances()["key-manager-0"], cloud.home / "credentials" / "key-manager.json"
    assert "still under older ones: 1" in cloud.do("keys", "rotate", "--what", "root")

    def sealed_again() -> bool:
        said = cloud.command("keys", "rotate", "--what", "root")
        assert said.code == 1, said
        return "not finished" in said.err

    eventually(sealed_again, "key-manager has sealed its material again")
    assert cloud.instances()["key-manager-0"] != first
    refused = cloud.command("keys", "rotate", "--what", "root", "--drop-old")
    assert refused.code == 1 and "10 minutes" in refused.err
    proof = credential.read_bytes()
    cloud.do("keys", "rotate", "--what", "master")
    eventually(lambda: credential.read_bytes() != proof, "key-manager has another credential")
    cloud.do("keys", "rotate", "--what", "store")
    assert "a start seals it again" in cloud.command("keys", "rotate", "--what", "store", "--drop-old").err
    cloud.do("down")
    cloud.do("up")
    assert "older ones kept: 0" in cloud.do("keys", "rotate", "--what", "store", "--drop-old")
    assert "older ones kept: 0" in cloud.do("keys", "rotate", "--what", "master", "--drop-old")
    eventually(lambda: cloud.is_ready("key-manager"), "key-manager is ready")
    opened = cloud.kms("decrypt", "--ciphertext-blob", f"fileb://{sealed}")["Plaintext"]
    assert base64.b64decode(opened) == b"before"
    said = cloud.command("doctor", "--security").out
    assert all(f"{each} is 0 days old" in said for each in ("master-key", "root-key", "store-key")), said


async def test_only_admins_and_only_what_there_is(house: House) -> None:
    await house.add_user("ed", "editor")
    for what in ("master", "root", "store"):
        async with house.client(house.bearer(Principal("ed", frozenset()))) as client:
            assert (await client.post("/auth/keys/rotate", json={"what": what})).status_code == 403
    async with house.client(house.bearer(ADMIN)) as client:
        for body in ({"what": "root"}, {"what": "audit"}, {"dropOld": True}, {"what": "root", "now": True}):
            assert (await client.post("/auth/keys/rotate", json=body)).status_code in (400, 422), body
        assert (await client.post("/auth/keys/rotate", json={"what": "token"})).status_code == 200


def test_the_command_says_what_it_does() -> None:
    said = CliRunner().invoke(app, ["keys", "rotate", "--help"])
    assert said.exit_code == 0 and all(each in said.output for each in ("--what", "--drop-old", "--revoke", "master"))
    assert CliRunner().invoke(app, ["keys", "rotate", "--what", "audit"]).exit_code == 2
