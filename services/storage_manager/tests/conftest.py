"""S3 beside the keys it needs, for tests that ask it with boto3: one for each file, and a bucket for each test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from services.sdk.testing import ServiceHarness, serving
from services.storage_manager.tests.test_service import V4

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def house() -> Iterator[ServiceHarness]:
    with (
        serving("key_manager", secrets={"root-key": bytes(32)}) as keys,
        serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as house,
    ):
        yield house


@pytest.fixture(scope="module")
def s3(house: ServiceHarness) -> Any:
    return house.boto3_client("s3", **V4)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"box-{next(_NUMBERS)}"
    s3.create_bucket(Bucket=name)
    return name
