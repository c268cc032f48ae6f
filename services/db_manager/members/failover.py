"""Who takes the writes of a Database, and what comes next where another one is to. Pure.

The primary is who the Database's status names; nothing runs out, so that it goes on while nobody looks after it.
Another one takes its place in steps, each of which is stored before the next is taken:

1. `status.switch` says who gives way to whom.
2. The old one is stopped, and seen to be gone: none of its processes acknowledges anything any more.
3. Of the others the one with most of the log is chosen, when all they have received is on their disks.
   `promoting` is stored: from here on there is no way back to the old one.
4. It is promoted, and `status.primary` names it. Then only is the address led to it, and the old one started, as a
   replica.

With `durability: strict` a commit is acknowledged once one other member has it on its disk; which one, nobody knows.
So all the others have to answer before one of them is chosen: the one with most of the log has every such commit.
That holds for members that are not wanted any more, and for those whose server was taken away, as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

SILENT_SECONDS = 2.5
"""A primary that has answered nothing for so long gives way."""
DOWN_SECONDS = 1.5
"""So does one that is known to be down: longer than a start after a crash usually takes, by which no row is lost."""
LEAST_LOOKS = 2
"""That it was asked in vain before it gives way: one look may fail for reasons of ours."""
MOST_BEHIND_BYTES = 16 << 20
"""What a replica may lack of the log, as it was known last, and still take the place of a primary that is lost."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a member answered just now. `lsn`: how far its log reaches on its disk. `streaming`: it gets it from
    another one as it is written. `waits_for`: for whom its commits wait, as its configuration says it. `replayed`:
    how far it has read its log. `sizes`: values of the parameters `SIZES`.
    """

    answers: bool = False
    in_recovery: bool = False
    lsn: int = 0
    streaming: bool = False
    waits_for: str = ""
    replayed: int = 0
    sizes: tuple[int, ...] = ()

    @property
    def takes_writes(self) -> bool:
        return self.answers and not self.in_recovery


@dataclass(frozen=True, slots=True)
class Situation:
    """`others`: the members that may take the primary's place, besides it. `holders`: all that may have what was
    acknowledged, also those without a server now. `behind`: what each lacked of the log
    when it was known last; of those alone that followed then. `silent`: seconds since the primary answered last,
    `unanswered`: looks at it since then; `is_down`: its Service says that it is not ready. `wish`: why another one
    is wanted, though the primary is well; empty for no reason. `settled`: no log of `others` has grown since they
    were looked at before. `fenced`: `old` is gone, of the switch that `old`, `new` and `promoting` are of.
    """

    primary: str
    others: Sequence[str]
    looks: Mapping[str, Look]
    strict: bool = False
    behind: Mapping[str, int] | None = None
    silent: float = 0.0
    is_down: bool = False
    wish: str = ""
    settled: bool = False
    fenced: bool = False
    old: str = ""
    new: str = ""
    promoting: bool = False
    holders: Sequence[str] = ()
    unanswered: int = LEAST_LOOKS


Action = Literal["nothing", "begin", "fence", "choose", "cancel", "promote", "finish", "wait"]


@dataclass(frozen=True, slots=True)
class Step:
    """`member`: whom it is about. `because`: in words; for `wait`, what is waited for."""

    action: Action
    member: str = ""
    because: str = ""


def next_step(now: Situation) -> Step:
    """What is to be done now, and nothing else."""
    if now.old:
        return _going_on(now)
    return _beginning(now) if now.others else Step("nothing")


def _beginning(now: Situation) -> Step:
    primary = now.looks.get(now.primary, Look())
    if primary.answers:
        if primary.in_recovery:
            return Step("promote", now.primary, f"{now.primary} does not take writes yet")
        return _begin(now, now.wish) if now.wish else Step("nothing")
    if now.silent < (DOWN_SECONDS if now.is_down else SILENT_SECONDS) or now.unanswered < LEAST_LOOKS:
        return Step("nothing")
    return _begin(now, f"{now.primary} has not answered for {now.silent:.0f} s")


def _begin(now: Situation, because: str) -> Step:
    """The old one is given up only where another one can follow it."""
    if lacking := _unheard(now):
        return Step("wait", because=f"{because}; {lacking}")
    near = _near(now)
    if not near:
        return Step("wait", because=f"{because}; no other member has enough of its log to take its place")
    return Step("begin", _foremost(now, near), because)


def _going_on(now: Situation) -> Step:
    if not now.fenced:
        return Step("fence", now.old, f"{now.old} is being stopped")
    if now.promoting:
        return _promoting(now)
    # One that did not follow may have more of another log. With `strict` nobody is left behind with more.
    candidates = _candidates(now) if now.strict else _near(now)
    if not candidates:
        return Step("cancel", now.old, f"no other member answers: {now.old} stays the primary")
    if lacking := _unheard(now):
        return Step("cancel", now.old, f"{lacking}; {now.old} stays the primary")
    if not now.settled:
        return Step("wait", because="the others write down what they have received")
    return Step("choose", _foremost(now, candidates))


def _promoting(now: Situation) -> Step:
    look = now.looks.get(now.new, Look())
    if not look.answers:
        return Step("wait", because=f"{now.new} is to take writes, and does not answer")
    return Step("promote", now.new) if look.in_recovery else Step("finish", now.new)


def _unheard(now: Situation) -> str:
    """Why nobody may be chosen: only who has not answered may have what was acknowledged last."""
    silent = [each for each in sorted({*now.others, *now.holders}) if not now.looks.get(each, Look()).answers]
    if not now.strict or not silent:
        return ""
    return f"{', '.join(silent)} must answer first: it may be the only one that has what was acknowledged last"


def _candidates(now: Situation) -> list[str]:
    looks = {each: now.looks.get(each, Look()) for each in now.others}
    return [name for name, look in looks.items() if look.answers and look.in_recovery]


def _near(now: Situation) -> list[str]:
    behind = now.behind or {}
    return [each for each in _candidates(now) if behind.get(each, MOST_BEHIND_BYTES) < MOST_BEHIND_BYTES]


def _foremost(now: Situation, names: Sequence[str]) -> str:
    return max(names, key=lambda each: now.looks[each].lsn)


def others_have_all(
    primary: str, staying: Sequence[str], before: Mapping[str, Look], now: Mapping[str, Look], waits_for: str
) -> bool:
    """Whether members besides the primary and those `staying` may be taken away: nothing that was acknowledged is
    theirs alone. The primary waits for others already, and what it had then is on the disks of all that stay.
    """
    then, ours = before.get(primary, Look()), now.get(primary, Look())
    if not (then.takes_writes and ours.takes_writes and then.waits_for == waits_for):
        return False
    looks = [(before.get(each, Look()), now.get(each, Look())) for each in staying]
    return all(old.streaming and new.streaming and new.lsn >= then.lsn for old, new in looks)
