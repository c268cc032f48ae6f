"""Reads of a service that does not answer go to who stands in for it, at once while it is known to be away."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from api.gateway.outages import ServiceAway, ServiceSilent
from api.gateway.stand_ins import AWAY_SECONDS, StandIns
from crds.errors import ApiError, Forbidden, Timeout, TooManyRequests, Unavailable
from crds.managed import ManagedService

NOTES = ManagedService("notes", "", "", "notes:create", speaks=("notes",), protocol="s3")
COPY = ManagedService("notes_copy", "", "", "copy:create", stands_in_for="notes")
OTHER = ManagedService("other", "", "", "other:create")


@dataclass
class World:
    """What is ready, and what time it is."""

    ready: set[str] = field(default_factory=lambda: {"notes", "notes-copy"})
    now: float = 100.0

    def __post_init__(self) -> None:
        self.stand_ins = StandIns((NOTES, COPY, OTHER), self.ready.__contains__, lambda: self.now)


def test_a_stand_in_speaks_what_the_other_speaks_and_is_asked_only_to_read() -> None:
    world = World()
    found = world.stand_ins.instead(NOTES, "GET", ServiceAway("gone"))
    assert found is not None and (found.service_name, found.speaks, found.protocol) == (
        "notes-copy",
        ("notes",),
        "s3",
    )
    assert world.stand_ins.instead(NOTES, "HEAD", ServiceSilent("late")) == found
    for method in ("PUT", "POST", "DELETE"):
        assert world.stand_ins.instead(NOTES, method, ServiceAway("gone")) is None
        assert world.stand_ins.chosen(NOTES, method) is NOTES


@pytest.mark.parametrize(
    "answer",
    [
        Forbidden("no"),
        ApiError("odd"),
        Unavailable("too many"),
        Timeout("it took too long"),
        TooManyRequests(""),
    ],
)
def test_what_was_answered_is_the_answer(answer: ApiError) -> None:
    world = World()
    assert world.stand_ins.instead(NOTES, "GET", answer) is None
    assert world.stand_ins.chosen(NOTES, "GET") is NOTES


def test_who_is_away_is_asked_again_after_a_while() -> None:
    world = World()
    assert world.stand_ins.chosen(NOTES, "GET") is NOTES
    world.stand_ins.instead(NOTES, "GET", ServiceAway("gone"))
    assert world.stand_ins.chosen(NOTES, "GET").service_name == "notes-copy"
    world.now += AWAY_SECONDS
    assert world.stand_ins.chosen(NOTES, "GET") is NOTES


def test_where_no_stand_in_is_ready_nobody_is_asked_instead() -> None:
    world = World()
    world.ready.discard("notes-copy")
    assert world.stand_ins.instead(NOTES, "GET", ServiceAway("gone")) is None
    assert world.stand_ins.chosen(NOTES, "GET") is NOTES
    assert world.stand_ins.instead(OTHER, "GET", ServiceAway("gone")) is None


def test_what_a_writer_waits_for_says_nothing_to_readers() -> None:
    world = World()
    assert world.stand_ins.instead(NOTES, "PUT", ServiceSilent("late")) is None
    assert world.stand_ins.chosen(NOTES, "GET") is NOTES


def test_who_has_answered_is_there() -> None:
    world = World()
    world.stand_ins.instead(NOTES, "PUT", ServiceAway("gone"))
    assert world.stand_ins.chosen(NOTES, "GET").service_name == "notes-copy"
    world.stand_ins.record_success("notes-copy")
    assert world.stand_ins.chosen(NOTES, "GET").service_name == "notes-copy"
    world.stand_ins.record_success("notes")
    assert world.stand_ins.chosen(NOTES, "GET") is NOTES
