"""A bucket says when a key it needs is gone: against a real key-manager, and with one that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crds.meta import condition
from services.sdk.discovery import managed_service
from services.sdk.testing import House, serving
from services.storage_manager.book import Metadata, Object, Piece
from services.storage_manager.faults import S3Fault
from services.storage_manager.kinds import BUCKET, Bucket, BucketSpec, Encryption
from services.storage_manager.kms import PeerKms
from services.storage_manager.lost_keys import KEYS_USABLE, LOOK_SECONDS, LostKeys
from services.storage_manager.ports import Place
from services.storage_manager.registry import place_of

KEYS = managed_service("key_manager")
assert KEYS is not None
KEY = KEYS.kinds[0]
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def bucket(key: str | None = None) -> Bucket:
    made = BUCKET.new("photos", namespace="default", spec=BucketSpec(encryption=Encryption(key=key)))
    made.metadata.uid = "id"
    return made


def with_kms(work: Callable[[House, PeerKms], Any]) -> None:
    """`work` beside a running key-manager, which storage-manager asks in its own name."""
    with serving("key_manager", secrets={"root-key": bytes(32)}) as house:

        async def story() -> None:
            async with house.peer_client("storage-manager") as peer:
                await work(house, PeerKms(peer))

        asyncio.run(story())


def put_one(book: Metadata, key: str) -> None:
    book.put("id", Object("a", 1, "e", 0.0, {}, (Piece("blob", 1, key),)))


async def lose_keys(house: House) -> None:
    """What no door allows, a lost or older store does."""

    async def lose() -> None:
        for each in (await house.resources.list(KEY)).items:
            await house.resources.delete(KEY, each.metadata.name, "default")
        while (await house.resources.list(KEY)).items:  # noqa: ASYNC110 - gone at once
            await asyncio.sleep(0)

    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(lose(), house.loop))


def test_the_default_key_is_there_and_then_gone(tmp_path: Path) -> None:
    async def story(house: House, kms: PeerKms) -> None:
        book, place = Metadata(tmp_path / "book.db"), place_of(bucket())
        lost = LostKeys(book, kms, lambda: 0.0)
        assert await lost.look(place) == [], "nothing was sealed yet"
        assert not house.resources.items, "looking makes no key"
        _, wrapped, arn = await kms.generate(place)
        book.add_key("k", "id", "", wrapped, 0.0, arn)
        put_one(book, "k")
        assert await lost.look(place) == []
        await lose_keys(house)
        for _ in range(100):  # key-manager hears of it by its watch
            if found := await lost.look(place):
                break
            await asyncio.sleep(0.01)
        assert found == [arn]

    with_kms(story)


def test_a_key_of_ones_own_is_told_from_none(tmp_path: Path) -> None:
    async def story(house: House, kms: PeerKms) -> None:
        lost = LostKeys(Metadata(tmp_path / "book.db"), kms, lambda: 0.0)
        made = house.resources.create(KEY, KEY.new("mine", namespace="default"))
        key = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(made, house.loop))
        assert await lost.look(place_of(bucket(key.metadata.uid))) == [], (
            "this service may not use it, but it is there"
        )
        for wrong in ("nobody", "alias/none", "arn:nonsense"):
            assert await lost.look(place_of(bucket(wrong))) == [wrong]
        before = len(house.resources.items)
        await lost.look(place_of(bucket("alias/aws/other")))
        assert len(house.resources.items) == before, "looking makes no key of the platform's"

    with_kms(story)


class Away:
    """A key-manager that does not know the key, or does not answer."""

    def __init__(self) -> None:
        self.code, self.asked = "KMS.NotFoundException", 0

    async def generate(self, place: Place) -> tuple[bytes, bytes, str]:
        self.asked += 1
        raise S3Fault(self.code)

    async def decrypt(self, place: Place, wrapped: bytes) -> bytes:
        raise AssertionError("nothing was sealed")


@pytest.mark.parametrize(("code", "status"), [("KMS.NotFoundException", "False"), ("KMS.DisabledException", "True")])
def test_the_condition_says_it_once_a_minute(tmp_path: Path, code: str, status: str) -> None:
    now, kms, resource = 0.0, Away(), bucket("mine")
    lost = LostKeys(Metadata(tmp_path / "book.db"), kms, lambda: now)

    def told() -> str:
        asyncio.run(lost.note(resource, NOW))
        found = condition(resource.status.conditions, KEYS_USABLE)
        return found.status if found else ""

    kms.code = "ServiceUnavailable"
    assert (told(), kms.asked) == ("", 1), "nothing is said while nobody knows"
    kms.code = code
    assert (told(), told(), kms.asked) == (status, status, 2)
    found = condition(resource.status.conditions, KEYS_USABLE)
    assert found is not None and ("mine" in found.message) is (status == "False")
    now, kms.code = LOOK_SECONDS, "ServiceUnavailable"
    assert (told(), kms.asked) == (status, 3), "what was known stays while key-manager is away"
    resource.spec.encryption.key = None
    assert (told(), kms.asked) == ("True", 3), "another key named: looked at at once"
