"""One running queue_manager for all tests: each test has an account of its own."""

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

    def client(self, user: User | None = None, **options: Any) -> Any:
        return self.harness.boto3_client("sqs", user or self.owner, **options)

    def user(self, name: str) -> User:
        """Somebody else of this account."""
        made = User(f"{name}-{self.owner.name}", (), self.owner.namespace, f"AKIAOTHEROTHER{next(_NUMBERS):06}")
        return self.harness.conductor.add(made)


@pytest.fixture(scope="session")
def harness() -> Iterator[ServiceHarness]:
    with serving("queue_manager", reconciles=True) as running:
        yield running


@pytest.fixture
def account(harness: ServiceHarness) -> Account:
    number = next(_NUMBERS)
    owner = User(f"owner-{number}", namespace=f"team-{number}", access_key=f"AKIATESTTEST{number:08}")
    return Account(harness, harness.conductor.add(owner))


@pytest.fixture
def sqs(account: Account) -> Any:
    return account.client()


@pytest.fixture
def queue(sqs: Any) -> str:
    url: str = sqs.create_queue(QueueName="orders")["QueueUrl"]
    return url


@pytest.fixture
def fifo(sqs: Any) -> str:
    made = sqs.create_queue(QueueName="orders.fifo", Attributes={"FifoQueue": "true"})
    return str(made["QueueUrl"])


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    """The code and the words of what is refused."""
    with pytest.raises(ClientError) as refused:
        call(**request)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]
