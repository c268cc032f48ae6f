"""Our own writes are told from others', whichever way they cross on the road."""

from __future__ import annotations

from controller.reconcile.own_writes import OwnWrites
from crds.meta import ObjectKey

KEY = ObjectKey("test", "lamps", "home", "desk")


def test_ours_may_come_back_before_or_after_the_call_returns() -> None:
    own = OwnWrites()
    own.began(KEY)
    assert not own.is_foreign(KEY, 5)
    own.wrote(KEY, 5)
    own.wrote(KEY, 6)
    assert not own.ended(KEY)
    assert not own.is_foreign(KEY, 6)
    assert own.is_foreign(KEY, 7)


def test_others_changes_during_a_pass_are_told_at_its_end() -> None:
    own = OwnWrites()
    own.began(KEY)
    assert not own.is_foreign(KEY, 4)
    own.wrote(KEY, 5)
    assert not own.is_foreign(KEY, 5)
    assert own.ended(KEY)


def test_nothing_is_remembered_for_ever() -> None:
    own = OwnWrites()
    own.began(KEY)
    own.wrote(KEY, 5)
    own.ended(KEY)
    assert own.is_foreign(KEY, 9)
    assert not own._mine
    assert not own._held
