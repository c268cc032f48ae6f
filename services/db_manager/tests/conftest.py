"""One running db_manager for all tests of the RDS API; nothing brings its Databases about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.db_manager.tests.postgres_server import endpoint
from services.db_manager.tests.rds_account import RdsAccount
from services.sdk.testing import ServiceHarness, serving

__all__ = ["endpoint"]


@pytest.fixture(scope="session")
def harness() -> Iterator[ServiceHarness]:
    with serving("db_manager") as running:
        yield running


@pytest.fixture
def account(harness: ServiceHarness) -> RdsAccount:
    return RdsAccount.new(harness)


@pytest.fixture
def rds(account: RdsAccount) -> Any:
    return account.client()
