"""One running schedule_manager for all tests: each test has an account of its own."""

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
    owner: User

    @property
    def number(self) -> str:
        return account_of(self.owner.namespace)

    @property
    def target(self) -> dict[str, str]:
        return {
            "Arn": f"arn:aws:sqs:us-east-1:{self.number}:orders",
            "RoleArn": f"arn:aws:iam::{self.number}:role/caller",
        }

    def client(self, user: User | None = None) -> Any:
        return self.harness.boto3_client("scheduler", user or self.owner)

    def user(self, name: str) -> User:
        """Somebody else of this account."""
        made = User(f"{name}-{self.owner.name}", (), self.owner.namespace, f"AKIAOTHEROTHER{next(_NUMBERS):06}")
        return self.harness.conductor.add(made)


@pytest.fixture(scope="session")
def harness() -> Iterator[ServiceHarness]:
    with serving("schedule_manager", reconciles=True) as running:
        yield running


@pytest.fixture
def account(harness: ServiceHarness) -> Account:
    number = next(_NUMBERS)
    owner = User(f"owner-{number}", namespace=f"team-{number}", access_key=f"AKIATESTTEST{number:08}")
    return Account(harness, harness.conductor.add(owner))


@pytest.fixture
def scheduler(account: Account) -> Any:
    return account.client()


def refusal(call: Any, **arguments: Any) -> tuple[str, str, int]:
    """The code, message and HTTP status of what is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    said = caught.value.response
    return said["Error"]["Code"], said["Error"].get("Message", ""), said["ResponseMetadata"]["HTTPStatusCode"]
