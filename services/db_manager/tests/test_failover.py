"""Who takes a primary's place, decided without a server; and that no order of faults makes two of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.db_manager.members.failover import (
    DOWN_SECONDS,
    MOST_BEHIND_BYTES,
    SILENT_SECONDS,
    Look,
    Situation,
    next_step,
    others_have_all,
)

WRITES, FOLLOWS, SILENT = Look(True, False, 100), Look(True, True, 100, True), Look()
WELL = Situation(
    primary="shop-0",
    others=("shop-1", "shop-2"),
    looks={"shop-0": WRITES, "shop-1": FOLLOWS, "shop-2": replace(FOLLOWS, lsn=90)},
    behind={"shop-1": 0, "shop-2": 0},
)
LOST = replace(WELL, looks={**WELL.looks, "shop-0": SILENT}, silent=SILENT_SECONDS)
GOING = replace(LOST, old="shop-0", new="shop-1")


def test_a_primary_that_answers_stays() -> None:
    assert next_step(WELL).action == "nothing"
    assert next_step(replace(LOST, silent=SILENT_SECONDS - 0.1)).action == "nothing"
    assert next_step(replace(LOST, unanswered=1)).action == "nothing", "one look may fail for reasons of ours"
    down = replace(LOST, is_down=True)
    assert next_step(replace(down, silent=DOWN_SECONDS - 0.1)).action == "nothing", "a start after a crash is awaited"
    assert next_step(replace(down, silent=DOWN_SECONDS)).action == "begin"


def test_the_one_with_most_of_the_log_takes_its_place() -> None:
    step = next_step(LOST)
    assert (step.action, step.member) == ("begin", "shop-1") and "shop-0 has not answered" in step.because


def test_nobody_is_chosen_before_the_old_one_is_gone_and_all_is_on_disk() -> None:
    assert next_step(GOING).action == "fence"
    assert next_step(replace(GOING, fenced=True)).action == "wait"
    step = next_step(replace(GOING, fenced=True, settled=True))
    assert (step.action, step.member) == ("choose", "shop-1")


def test_once_promotion_may_have_begun_nobody_else_is_chosen() -> None:
    promoting = replace(GOING, fenced=True, promoting=True)
    assert (next_step(promoting).action, next_step(promoting).member) == ("promote", "shop-1")
    gone = replace(promoting, looks={**promoting.looks, "shop-1": SILENT})
    assert next_step(gone).action == "wait" and "shop-1" in next_step(gone).because
    done = replace(promoting, looks={**promoting.looks, "shop-1": WRITES})
    assert (next_step(done).action, next_step(done).member) == ("finish", "shop-1")


def test_a_member_that_lacked_too_much_takes_nobodys_place() -> None:
    step = next_step(replace(LOST, behind={"shop-1": MOST_BEHIND_BYTES, "shop-2": MOST_BEHIND_BYTES - 1}))
    assert (step.action, step.member) == ("begin", "shop-2")
    step = next_step(replace(LOST, behind={}))
    assert step.action == "wait" and "enough of its log" in step.because


def test_who_did_not_follow_is_not_chosen_for_its_longer_log() -> None:
    """It is another log, of a primary that was given up."""
    apart = {**GOING.looks, "shop-2": replace(FOLLOWS, lsn=900, streaming=False)}
    now = replace(GOING, fenced=True, settled=True, behind={"shop-1": 0}, looks=apart)
    assert (next_step(now).action, next_step(now).member) == ("choose", "shop-1")
    assert next_step(replace(now, behind={})).action == "cancel"


def test_strict_hears_all_others_first() -> None:
    """The silent one may be the only one that has what was acknowledged last."""
    deaf = replace(LOST, strict=True, looks={**LOST.looks, "shop-2": SILENT})
    assert next_step(deaf).action == "wait" and "shop-2 must answer first" in next_step(deaf).because
    assert next_step(replace(deaf, strict=False)).action == "begin"
    late = replace(deaf, old="shop-0", new="shop-1", fenced=True, settled=True)
    assert (next_step(late).action, next_step(late).member) == ("cancel", "shop-0"), (
        "what was stopped is started again"
    )


def test_strict_hears_also_those_that_were_taken_away() -> None:
    """Whose server was deleted, or who is not wanted any more, may have had what the others lack."""
    two = replace(LOST, strict=True, others=("shop-1",), holders=("shop-1", "shop-2"))
    deaf = replace(two, looks={**LOST.looks, "shop-2": SILENT})
    assert next_step(deaf).action == "wait" and "shop-2 must answer first" in next_step(deaf).because
    assert next_step(replace(deaf, old="shop-0", new="shop-1", fenced=True, settled=True)).action == "cancel"
    assert next_step(replace(deaf, strict=False)).action == "begin"
    assert next_step(two).action == "begin"


def test_members_go_once_the_others_have_all_of_theirs() -> None:
    primary = replace(WRITES, waits_for="shop-1")
    looks = {"shop-0": primary, "shop-1": FOLLOWS, "shop-2": FOLLOWS}

    def may_go(before: dict[str, Look], now: dict[str, Look]) -> bool:
        return others_have_all("shop-0", ["shop-1"], before, now, "shop-1")

    assert may_go(looks, {**looks, "shop-0": replace(primary, lsn=120)}), "what it has written since waits for shop-1"
    assert not may_go({}, looks), "nobody knows since when it waits for shop-1"
    assert not may_go({**looks, "shop-0": WRITES}, looks)
    assert not may_go(looks, {**looks, "shop-0": SILENT})
    assert not may_go(looks, {**looks, "shop-1": replace(FOLLOWS, lsn=99)})
    apart = {**looks, "shop-1": replace(FOLLOWS, streaming=False)}
    assert not may_go(looks, apart) and not may_go(apart, looks)


def test_without_anybody_left_the_old_one_goes_on() -> None:
    alone = replace(GOING, fenced=True, settled=True, looks={})
    assert (next_step(alone).action, next_step(alone).member) == ("cancel", "shop-0")
    assert next_step(replace(LOST, others=(), looks={})).action == "nothing"


def test_a_wish_is_carried_out_while_all_is_well_and_waits_otherwise() -> None:
    assert (next_step(replace(WELL, wish="asked for")).member) == "shop-1"
    assert next_step(replace(WELL, wish="asked for", behind={})).action == "wait"


def test_the_primary_by_name_is_made_one() -> None:
    """It was promoted, and went down before that was on its disk."""
    step = next_step(replace(WELL, looks={**WELL.looks, "shop-0": FOLLOWS}))
    assert (step.action, step.member) == ("promote", "shop-0")


class Model:
    """Three members, a log as a number each; a commit is acknowledged once the primary and another one have it."""

    def __init__(self) -> None:
        self.names = ("shop-0", "shop-1", "shop-2")
        self.log = dict.fromkeys(self.names, 0)
        self.up = dict.fromkeys(self.names, True)
        self.writable = {"shop-0"}
        self.primary, self.old, self.new, self.promoting = "shop-0", "", "", False
        self.acknowledged = 0

    def commit(self, replica: str) -> None:
        for each in self.writable:
            if self.up[each] and self.up[replica] and each != replica and self.log[each] >= self.log[replica]:
                self.log[each] += 1
                self.log[replica] = self.log[each]
                if each != self.old:
                    self.acknowledged = max(self.acknowledged, self.log[each])

    def look(self) -> dict[str, Look]:
        return {
            each: Look(True, each not in self.writable, self.log[each], True) if self.up[each] else SILENT
            for each in self.names
        }

    def step(self) -> None:
        others = tuple(each for each in self.names if each != self.primary)
        step = next_step(
            Situation(
                self.primary, others, self.look(), True, dict.fromkeys(others, 0), SILENT_SECONDS, False, "", True,
                bool(self.old) and not self.up[self.old], self.old, self.new, self.promoting,
            )
        )  # fmt: skip
        if step.action == "begin":
            self.old, self.new = self.primary, step.member
        elif step.action == "fence":
            self.up[self.old] = False
        elif step.action == "choose":
            self.new, self.promoting = step.member, True
        elif step.action == "promote":
            self.writable.add(step.member)
        elif step.action == "finish":
            # As the engine does at the next start: what the deposed one alone had is given up.
            self.log[self.old] = min(self.log[self.old], self.log[step.member])
            self.writable = {step.member}
            self.primary = step.member
        if step.action in ("finish", "cancel"):
            self.old, self.new, self.promoting = "", "", False


FAULTS = [f"{move} {index}" for move in ("down", "up") for index in range(3)]
MOVES = st.lists(st.sampled_from(["step", "commit 0", "commit 1", "commit 2", *FAULTS]), max_size=60)


@settings(max_examples=300, deadline=None)
@given(MOVES)
def test_nothing_acknowledged_is_lost_in_any_order_of_faults(moves: list[str]) -> None:
    model = Model()
    for move in moves:
        what, _, index = move.partition(" ")
        name = f"shop-{index}"
        if what == "step":
            model.step()
        elif what == "commit":
            model.commit(name)
        elif not (what == "up" and name == model.old):  # what is being stopped is not started
            model.up[name] = what == "up"
        assert model.log[model.primary] >= model.acknowledged or model.old == model.primary
        reachable = [each for each in model.writable if model.up[each]]
        assert len(reachable) <= 1, "two take writes"


@pytest.mark.parametrize("members", [2, 3])
def test_a_failover_needs_as_many_steps_as_are_told(members: int) -> None:
    others = tuple(f"shop-{index}" for index in range(1, members))
    now = replace(LOST, others=others)
    done = []
    for _ in range(5):
        step = next_step(now)
        done.append(step.action)
        now = {
            "begin": replace(now, old=now.primary, new=step.member),
            "fence": replace(now, fenced=True, settled=True),
            "choose": replace(now, new=step.member, promoting=True),
            "promote": replace(now, looks={**now.looks, step.member: WRITES}),
            "finish": now,
        }[step.action]
    assert done == ["begin", "fence", "choose", "promote", "finish"]
