"""The Key reconciler on resources in memory: material, rotation, deletion, names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from crds.errors import Conflict, NotFound
from services.key_manager import keyring
from services.key_manager.app import create
from services.key_manager.key import KeyReconciler
from services.key_manager.kinds import KEY, KEY_ALIAS, KEY_MATERIAL, Key, KeyAliasSpec, KeySpec
from services.key_manager.material import new_material
from services.sdk.reconcile import Outcome, World
from services.sdk.testing import FakeConductor, MemoryResources, fake_context, watched


class Hand:
    """A clock that is moved by hand."""

    moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


class Room:
    def __init__(self, folder: Path) -> None:
        self.clock = Hand()
        self.resources = MemoryResources(self.clock)
        conductor = FakeConductor(self.clock)
        context = fake_context("key_manager", folder, conductor, self.resources, {"root-key": bytes(32)})
        self.reconciler = cast(KeyReconciler, create(context).reconcilers[0])
        self.keyring = self.reconciler.keyring

    async def look(self, name: str) -> tuple[Key, Outcome]:
        key = await self.resources.get(KEY, name)
        async with watched(self.resources, KEY, KEY_ALIAS) as seen:
            world = World(self.resources, seen, self.clock, cast(Any, None))
            return key, await self.reconciler.reconcile(key, world)

    async def name(self, alias: str, key: str) -> None:
        spec = KeyAliasSpec(key=key, alias_name=f"alias/{alias}")
        await self.resources.create(KEY_ALIAS, KEY_ALIAS.new(alias.replace("/", "-"), spec=spec))

    async def versions(self) -> list[int]:
        return sorted(each.spec.version for each in (await self.resources.list(KEY_MATERIAL)).items)


def in_room(folder: Path, story: Callable[[Room], Awaitable[None]]) -> None:
    async def main() -> None:
        await story(Room(folder))

    asyncio.run(main())


def test_whoever_needs_material_at_once_gets_what_was_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counted(key_spec: str) -> bytes:
        made.append(key_spec)
        return new_material(key_spec)

    async def story(room: Room) -> None:
        monkeypatch.setattr(keyring, "new_material", counted)
        spec = KeySpec(key_spec="RSA_2048", usage="SIGN_VERIFY")
        key = await room.resources.create(KEY, KEY.new("signer", spec=spec))
        found = await asyncio.gather(*(room.keyring.ensure_material(key) for _ in range(8)))
        assert len({each.spec.sealed for each in found}) == 1 and made == ["RSA_2048"]

    in_room(tmp_path, story)


def test_imported_material_is_forgotten_when_its_time_is_over(tmp_path: Path) -> None:
    async def story(room: Room) -> None:
        await room.resources.create(KEY, KEY.new("outside", spec=KeySpec(origin="EXTERNAL")))
        key, outcome = await room.look("outside")
        assert (key.status.key_state, await room.versions(), outcome.requeue_after) == ("PendingImport", [], None)
        until = room.clock.moment + timedelta(hours=2)
        await room.keyring.import_material(key, 1, bytes(32), "a" * 64, until, "")
        key, outcome = await room.look("outside")
        assert (key.status.key_state, outcome.requeue_after) == ("Enabled", 7200)
        room.clock.moment = until
        key, _ = await room.look("outside")
        assert (key.status.key_state, key.status.current_version) == ("PendingImport", 1)
        [material] = (await room.resources.list(KEY_MATERIAL)).items
        assert (material.spec.removed, material.spec.material_id) == (True, "a" * 64)

    in_room(tmp_path, story)


def test_material_is_made_once_and_rotated_when_due(tmp_path: Path) -> None:
    async def story(room: Room) -> None:
        await room.resources.create(KEY, KEY.new("payments", spec=KeySpec(rotate_every=30)))
        key, outcome = await room.look("payments")
        assert (key.status.current_version, key.status.key_state) == (1, "Enabled")
        assert outcome.requeue_after == 86400
        await room.look("payments")
        assert await room.versions() == [1]
        room.clock.moment += timedelta(days=30)
        key, _ = await room.look("payments")
        assert (key.status.current_version, await room.versions()) == (2, [1, 2])
        assert key.status.next_rotation_at == room.clock.moment + timedelta(days=30)

    in_room(tmp_path, story)


def test_a_key_is_deleted_at_its_date_and_not_before(tmp_path: Path) -> None:
    async def story(room: Room) -> None:
        date = room.clock.now() + timedelta(days=7)
        await room.resources.create(KEY, KEY.new("old", spec=KeySpec(deletion_date=date)))
        key, _ = await room.look("old")
        assert key.status.key_state == "PendingDeletion"
        room.clock.moment = date
        await room.look("old")
        with pytest.raises(NotFound):
            await room.resources.get(KEY, "old")

    in_room(tmp_path, story)


def test_its_aliases_go_with_it_and_others_stay(tmp_path: Path) -> None:
    async def story(room: Room) -> None:
        date = room.clock.now() + timedelta(days=7)
        await room.resources.create(KEY, KEY.new("old", spec=KeySpec(deletion_date=date)))
        await room.name("mine", "old")
        await room.name("theirs", "new")
        room.clock.moment = date
        await room.look("old")
        assert [each.metadata.name for each in (await room.resources.list(KEY_ALIAS)).items] == ["theirs"]

    in_room(tmp_path, story)


def test_a_key_that_is_needed_when_it_is_due_stays_and_says_by_whom(tmp_path: Path) -> None:
    async def story(room: Room) -> None:
        async def refused(*_: Any, **__: Any) -> None:
            raise Conflict("in use by Bucket photos")

        date = room.clock.now() + timedelta(days=7)
        await room.resources.create(KEY, KEY.new("old", spec=KeySpec(deletion_date=date)))
        room.clock.moment = date
        room.resources.delete = refused  # type: ignore[method-assign]
        _, outcome = await room.look("old")
        assert (outcome.reason, outcome.message) == ("InUse", "in use by Bucket photos")
        assert outcome.requeue_after

    in_room(tmp_path, story)


def test_a_key_says_by_which_names_it_is_known(tmp_path: Path) -> None:
    async def story(room: Room) -> None:
        for name in ("0f9c", "mine"):
            await room.resources.create(KEY, KEY.new(name, spec=KeySpec()))
        for alias, name in (("photos", "0f9c"), ("aws/s3", "0f9c"), ("orders", "mine")):
            await room.name(alias, name)
        key, _ = await room.look("0f9c")
        assert key.status.aliases == ["alias/aws/s3", "alias/photos"]
        shown = [each.path for each in KEY.columns if each.priority == 0]
        assert "status.aliases" in shown, "a name of hexadecimal digits alone tells nobody what the key is for"

    in_room(tmp_path, story)


def test_an_alias_that_moves_concerns_the_key_it_left_too(tmp_path: Path) -> None:
    async def story(room: Room) -> None:
        for name in ("one", "other", "third"):
            await room.resources.create(KEY, KEY.new(name, spec=KeySpec()))
        await room.name("photos", "one")
        key, _ = await room.look("one")
        await room.resources.patch(KEY, "one", {"status": key.status.wire()})
        moved = await room.resources.patch(KEY_ALIAS, "photos", {"spec": {"key": "other"}})
        (also,) = room.reconciler.also_watch
        async with watched(room.resources, KEY, KEY_ALIAS) as seen:
            assert sorted(each.name for each in also.affects(moved, seen)) == ["one", "other"]
        looked = [await room.look(name) for name in ("one", "other")]
        assert [key.status.aliases for key, _ in looked] == [[], ["alias/photos"]]

    in_room(tmp_path, story)
