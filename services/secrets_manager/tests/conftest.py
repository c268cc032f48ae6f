"""One running secrets_manager beside a key_manager for all tests: each test has an account of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.sdk.aws.accounts import account_of
from services.sdk.testing import ServiceHarness, User, serving

_NUMBERS = itertools.count(1)


@dataclass
class Account:
    """An account, and somebody who may everything in it."""

    harness: ServiceHarness
    keys: ServiceHarness
    owner: User

    @property
    def number(self) -> str:
        return account_of(self.owner.namespace)

    def client(self, user: User | None = None) -> Any:
        return self.harness.boto3_client("secretsmanager", user or self.owner)

    def kms(self) -> Any:
        self.keys.conductor.add(self.owner)
        return self.keys.boto3_client("kms", self.owner)

    def user(self, name: str) -> User:
        """Somebody else of this account."""
        made = User(f"{name}-{self.owner.name}", (), self.owner.namespace, f"AKIAOTHEROTHER{next(_NUMBERS):06}")
        return self.harness.conductor.add(made)


@pytest.fixture(scope="session")
def keys() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(range(32))}) as running:
        yield running


@pytest.fixture(scope="session")
def harness(keys: ServiceHarness) -> Iterator[ServiceHarness]:
    with serving("secrets_manager", peer=lambda name: keys.peer_client("secrets-manager")) as running:
        yield running


@pytest.fixture
def account(harness: ServiceHarness, keys: ServiceHarness) -> Account:
    number = next(_NUMBERS)
    owner = User(f"owner-{number}", namespace=f"team-{number}", access_key=f"AKIATESTTEST{number:08}")
    return Account(harness, keys, harness.conductor.add(owner))


@pytest.fixture
def secrets(account: Account) -> Any:
    return account.client()


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """The code and message of what is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error.get("Message", "")
