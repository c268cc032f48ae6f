"""A bucket says when a key it needs is gone: against a real key-manager, and with one that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from crds.meta import condition
from services.sdk.discovery import managed_service
from services.sdk.testing import ServiceHarness, client_over, serving
from services.storage_manager.bucket_directory import bucket_ref
from services.storage_manager.conditions import BucketCondition
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.kinds import BUCKET, Bucket, BucketSpec, Encryption
from services.storage_manager.kms_client import KmsClient
from services.storage_manager.lost_keys import CHECK_SECONDS, LostKeys
from services.storage_manager.metadata import MetadataIndex, Object, Piece

KEYS = managed_service("key_manager")
assert KEYS is not None
KEY = KEYS.kinds[0]
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def bucket(key: str | None = None) -> Bucket:
    made = BUCKET.new("photos", namespace="default", spec=BucketSpec(encryption=Encryption(key=key)))
    made.metadata.uid = "id"
    return made


def with_kms(work: Callable[[ServiceHarness, KmsClient], Any]) -> None:
    """`work` beside a running key-manager, which storage-manager asks in its own name."""
    with serving("key_manager", secrets={"root-key": bytes(32)}) as harness:

        async def story() -> None:
            async with harness.peer_client("storage-manager") as peer:
                await work(harness, KmsClient(client_over(peer)))

        asyncio.run(story())


def put_one(metadata: MetadataIndex, key: str) -> None:
    metadata.put("id", Object("a", 1, "e", 0.0, {}, (Piece("blob", 1, key),)))


async def lose_keys(harness: ServiceHarness) -> None:
    """What no API allows, a lost or older store does."""

    async def lose() -> None:
        for each in (await harness.resources.list(KEY)).items:
            await harness.resources.delete(KEY, each.metadata.name, "default")
        while (await harness.resources.list(KEY)).items:  # noqa: ASYNC110 - gone at once
            await asyncio.sleep(0)

    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(lose(), harness.loop))


def test_the_default_key_is_there_and_then_gone(tmp_path: Path) -> None:
    async def story(harness: ServiceHarness, kms: KmsClient) -> None:
        metadata, ref = MetadataIndex(tmp_path / "book.db"), bucket_ref(bucket())
        lost = LostKeys(metadata, kms, lambda: 0.0)
        assert await lost.find_lost(ref) == [], "nothing was sealed yet"
        assert not harness.resources.items, "looking makes no key"
        _, wrapped, arn = await kms.generate(ref)
        metadata.add_key("k", "id", "", wrapped, 0.0, arn)
        put_one(metadata, "k")
        assert await lost.find_lost(ref) == []
        await lose_keys(harness)
        for _ in range(100):  # key-manager hears of it by its watch
            if found := await lost.find_lost(ref):
                break
            await asyncio.sleep(0.01)
        assert found == [arn]

    with_kms(story)


def test_a_key_of_ones_own_is_told_from_none(tmp_path: Path) -> None:
    async def story(harness: ServiceHarness, kms: KmsClient) -> None:
        lost = LostKeys(MetadataIndex(tmp_path / "book.db"), kms, lambda: 0.0)
        made = harness.resources.create(KEY, KEY.new("mine", namespace="default"))
        key = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(made, harness.loop))
        assert await lost.find_lost(bucket_ref(bucket(key.metadata.uid))) == [], (
            "this service may not use it, but it is there"
        )
        for wrong in ("nobody", "alias/none", "arn:nonsense"):
            assert await lost.find_lost(bucket_ref(bucket(wrong))) == [wrong]
        before = len(harness.resources.items)
        await lost.find_lost(bucket_ref(bucket("alias/aws/other")))
        assert len(harness.resources.items) == before, "looking makes no key of the platform's"

    with_kms(story)


class Away:
    """A key-manager that does not know the key, or does not answer."""

    def __init__(self) -> None:
        self.code, self.asked = "KMS.NotFoundException", 0

    async def generate(self, ref: BucketRef) -> tuple[bytes, bytes, str]:
        self.asked += 1
        raise S3Error(self.code)

    async def rewrap(self, ref: BucketRef, wrapped: bytes, arn: str) -> bytes:
        return wrapped

    async def decrypt(self, ref: BucketRef, wrapped: bytes) -> bytes:
        raise AssertionError("nothing was sealed")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("KMS.NotFoundException", "False"),
        ("KMS.KeyUnavailableException", "False"),
        ("KMS.DisabledException", "True"),
    ],
)
def test_the_condition_says_it_once_a_minute(tmp_path: Path, code: str, status: str) -> None:
    now, kms, resource = 0.0, Away(), bucket("mine")
    lost = LostKeys(MetadataIndex(tmp_path / "book.db"), kms, lambda: now)

    def told() -> str:
        asyncio.run(lost.update_condition(resource, NOW))
        found = condition(resource.status.conditions, BucketCondition.KEYS_USABLE)
        return found.status if found else ""

    kms.code = "ServiceUnavailable"
    assert (told(), kms.asked) == ("", 1), "nothing is said while nobody knows"
    kms.code = code
    assert (told(), told(), kms.asked) == (status, status, 2)
    found = condition(resource.status.conditions, BucketCondition.KEYS_USABLE)
    assert found is not None and ("mine" in found.message) is (status == "False")
    now, kms.code = CHECK_SECONDS, "ServiceUnavailable"
    assert (told(), kms.asked) == (status, 3), "what was known stays while key-manager is away"
    resource.spec.encryption.key = None
    assert (told(), kms.asked) == ("True", 3), "another key named: looked at at once"


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (500, "KeyUnavailableException", "KMS.KeyUnavailableException"),
        (503, "DependencyTimeoutException", "ServiceUnavailable"),
        (400, "DisabledException", "KMS.DisabledException"),
    ],
)
def test_a_key_that_is_lost_is_told_from_a_key_manager_that_is_away(status: int, kind: str, code: str) -> None:
    """As key-manager answers for material under another root key: test_kms.py."""

    async def story() -> None:
        answers = httpx.MockTransport(lambda _: httpx.Response(status, json={"__type": kind, "message": "no"}))
        async with httpx.AsyncClient(transport=answers, base_url="https://key-manager") as peer:
            with pytest.raises(S3Error) as refused:
                await KmsClient(client_over(peer)).decrypt(bucket_ref(bucket()), b"wrapped")
        assert refused.value.code == code

    asyncio.run(story())
