"""One running iam_manager for all tests: each test has an account of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from services.sdk.testing import ServiceHarness, User, serving

_NUMBERS = itertools.count(1)


@dataclass
class Account:
    """An account and somebody who may everything in it."""

    harness: ServiceHarness
    owner: User

    def client(self, service: str = "iam") -> Any:
        return self.harness.boto3_client(service, self.owner)


@pytest.fixture(scope="session")
def harness() -> Iterator[ServiceHarness]:
    with serving("iam_manager") as running:
        yield running


@pytest.fixture
def account(harness: ServiceHarness) -> Account:
    number = next(_NUMBERS)
    owner = User(f"owner-{number}", namespace=f"team-{number}", access_key=f"AKIATESTTESTTEST{number:04}")
    return Account(harness, harness.conductor.add(owner))


@pytest.fixture
def iam(account: Account) -> Any:
    return account.client()
