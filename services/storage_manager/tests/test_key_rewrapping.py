"""Data keys are wrapped anew once a month, by a real key-manager, in whose name it may be; nothing is lost by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from services.sdk.identity import Caller
from services.sdk.testing import ServiceHarness
from services.storage_manager.bucket_directory import bucket_ref
from services.storage_manager.data_keys import DataKeys
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.key_rewrapping import CHECK_SECONDS, REWRAP_SECONDS, KeyRewrapper
from services.storage_manager.kms_client import KmsClient
from services.storage_manager.metadata import MetadataIndex
from services.storage_manager.tests.test_lost_keys import bucket, with_kms

PLACE = BucketRef("id", "box", "arn:aws:s3:::box", 0.0, caller=Caller("ann"))


class Kms:
    """Says what it was asked to wrap anew, and for whom."""

    def __init__(self) -> None:
        self.rewrapped: list[tuple[bytes, str, str | None]] = []
        self.refuses = False

    async def generate(self, ref: BucketRef) -> tuple[bytes, bytes, str]:
        return b"p" * 32, b"wrapped", "arn"

    async def decrypt(self, ref: BucketRef, wrapped: bytes) -> bytes:
        return b"p" * 32

    async def rewrap(self, ref: BucketRef, wrapped: bytes, arn: str) -> bytes:
        if self.refuses:
            raise S3Error("KMS.AccessDeniedException")
        self.rewrapped.append((wrapped, arn, ref.caller.name if ref.caller else None))
        return wrapped + b"+"


def test_the_default_key_wraps_anew_and_the_old_wrapping_was_its_own(tmp_path: Path) -> None:
    async def story(harness: ServiceHarness, kms: KmsClient) -> None:
        metadata, ref = MetadataIndex(tmp_path / "book.db"), bucket_ref(bucket())
        plain, wrapped, arn = await kms.generate(ref)
        metadata.add_key("k", "id", "", wrapped, 0.0, arn)
        now = REWRAP_SECONDS + 1
        rewrapper = KeyRewrapper(metadata, kms, lambda: now)
        assert await rewrapper.rewrap_bucket(ref) == 1
        after = metadata.wrapping("k")
        assert after is not None and after.wrapped != wrapped and after.at == now
        assert await kms.decrypt(ref, after.wrapped) == plain
        now += CHECK_SECONDS
        assert await rewrapper.rewrap_bucket(ref) == 0

    with_kms(story)


def test_those_of_a_month_and_only_the_default_keys(tmp_path: Path) -> None:
    metadata, kms, now = MetadataIndex(tmp_path / "book.db"), Kms(), REWRAP_SECONDS + 5

    async def story() -> None:
        metadata.add_key("old", "id", "", b"old", 0.0, "arn")
        metadata.add_key("young", "id", "", b"young", 10.0, "arn")
        metadata.add_key("theirs", "id", "own", b"theirs", 0.0, "arn")
        metadata.add_key("other", "elsewhere", "", b"other", 0.0, "arn")
        rewrapper = KeyRewrapper(metadata, kms, lambda: now)
        assert await rewrapper.rewrap_bucket(replace(PLACE, caller=None)) == 1
        assert kms.rewrapped == [(b"old", "arn", None)]
        assert await rewrapper.rewrap_bucket(PLACE) == 0, "an hour has not passed"

    anyio.run(story)
    assert metadata.wrapped_key("old") == (b"old+", "")


def test_a_customers_key_wraps_anew_for_who_opens_with_it(tmp_path: Path) -> None:
    metadata, kms, now = MetadataIndex(tmp_path / "book.db"), Kms(), REWRAP_SECONDS + 5
    metadata.add_key("k", "id", "own", b"theirs", 0.0, "arn")

    async def story() -> None:
        nonlocal now
        keys = DataKeys(metadata, kms, clock=lambda: now)
        kms.refuses = True
        await keys.cipher(replace(PLACE, key="own"), "k", "blob")
        assert metadata.wrapped_key("k") == (b"theirs", "own")
        kms.refuses, now = False, now + CHECK_SECONDS
        await keys.cipher(replace(PLACE, key="own"), "k", "blob")

    anyio.run(story)
    assert kms.rewrapped == [(b"theirs", "arn", "ann")]
    assert metadata.wrapped_key("k") == (b"theirs+", "own")


@pytest.mark.parametrize("meanwhile", [b"other", b"wrapped"])
def test_what_another_process_wrapped_anew_stays(tmp_path: Path, meanwhile: bytes) -> None:
    metadata = MetadataIndex(tmp_path / "book.db")
    metadata.add_key("k", "id", "", b"wrapped", 0.0)
    metadata.replace_wrapping("k", b"wrapped", meanwhile, 1.0)
    metadata.replace_wrapping("k", b"wrapped", b"mine", 2.0)
    assert metadata.wrapped_key("k")[0] == (b"other" if meanwhile == b"other" else b"mine")
