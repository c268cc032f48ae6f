"""Owners of access keys are looked up once, and again after every change."""

from __future__ import annotations

import pytest

from api.auth.on_behalf import RememberedSigners
from api.auth.principal import Principal
from crds.errors import NotFound
from services.sdk.aws.verifier import Owner

ANN = Owner(Principal("ann", frozenset()), "secret")


class Accounts:
    """Keys, how often they were asked for, and the number of changes."""

    def __init__(self) -> None:
        self.keys, self.asked, self.changes = {"AKIA1": ANN}, list[str](), 0

    def find(self, key: str) -> Owner[Principal]:
        self.asked.append(key)
        if key not in self.keys:
            raise NotFound("unknown")
        return self.keys[key]


def test_a_key_is_looked_up_once_until_something_changes() -> None:
    accounts = Accounts()
    signers = RememberedSigners(accounts.find, lambda: accounts.changes)
    assert [signers("AKIA1") for _ in range(3)] == [ANN] * 3
    assert accounts.asked == ["AKIA1"]
    accounts.changes += 1
    signers("AKIA1")
    assert accounts.asked == ["AKIA1", "AKIA1"]


def test_a_key_that_was_taken_away_is_worth_nothing_at_the_next_change() -> None:
    accounts = Accounts()
    signers = RememberedSigners(accounts.find, lambda: accounts.changes)
    signers("AKIA1")
    accounts.keys.clear()
    accounts.changes += 1
    with pytest.raises(NotFound):
        signers("AKIA1")


def test_keys_nobody_has_are_not_remembered() -> None:
    accounts = Accounts()
    signers = RememberedSigners(accounts.find, lambda: accounts.changes)
    for _ in range(2):
        with pytest.raises(NotFound):
            signers("AKIA2")
    assert accounts.asked == ["AKIA2", "AKIA2"]
