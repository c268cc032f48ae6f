"""Events that wait for targets of rules: each lies once in the store, and a namespace has so much room."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.schedule_manager import schedule_store
from services.schedule_manager.delivery import DeliveryFault
from services.schedule_manager.schedule_store import (
    FILE,
    FIRING_BYTES,
    MIGRATIONS,
    Firing,
    Planned,
    Published,
    ScheduleStore,
    Waiting,
)
from services.schedule_manager.tests.in_memory import schedules_in_memory
from services.schedule_manager.tests.test_events import Events
from services.sdk.sqlite_schema import upgrade
from services.sdk.testing import virtual_time

BODY = '{"detail":"ä"}'


def plan(rule: str, target: str, namespace: str = "default") -> Planned:
    return Planned(f"{rule}/event/{target}", 1, namespace, "{}", 0.0, None)


def published(event: Waiting, *plans: Planned) -> list[Published]:
    return [Published(each, Firing(f"{each.uid} {event.id}", each.uid, 0, 0, 0, 0), event) for each in plans]


def rows(store: ScheduleStore, query: str) -> list[tuple[object, ...]]:
    return list(store._db.execute(query))


def test_an_event_lies_there_once_until_nothing_waits_for_it(tmp_path: Path) -> None:
    store = ScheduleStore(tmp_path / FILE)
    event, plans = Waiting("e", "default", BODY), [plan("r", "a"), plan("r", "b"), plan("q", "a")]
    what = published(event, *plans)
    store.publish(what)
    assert rows(store, "SELECT id, body FROM events") == [("e", BODY)]
    assert rows(store, "SELECT * FROM rooms") == [("default", len(BODY.encode()) + 3 * FIRING_BYTES)]
    assert [store.event_of(each.firing) for each in what] == [BODY] * 3
    store.note([(what[0].firing, 1.0)])
    store.forget("q")
    assert rows(store, "SELECT * FROM rooms") == [("default", len(BODY.encode()) + FIRING_BYTES)]
    assert store.event_of(what[1].firing) == BODY
    store.note([(what[1].firing, 1.0)])
    assert rows(store, "SELECT id FROM events") == rows(store, "SELECT * FROM rooms") == []
    store.close()


def test_a_namespace_has_so_much_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = published(Waiting("e", "default", "x" * 100), plan("r", "a"), plan("r", "b"))
    monkeypatch.setattr(schedule_store, "MOST_WAITING_BYTES", 2 * (100 + 2 * FIRING_BYTES) - 1)
    store = ScheduleStore(tmp_path / FILE)
    assert store.has_room("default", event)
    store.publish(event)
    assert not store.has_room("default", event) and store.has_room("other", event)
    store.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("pef"), st.integers(0, 3), st.integers(0, 3)), max_size=25))
def test_the_room_is_what_is_there(steps: list[tuple[str, int, int]]) -> None:
    store = ScheduleStore(Path(":memory:"))
    for number, (what, rule, targets) in enumerate(steps):
        if what == "p":
            event = Waiting(str(number), f"n{rule % 2}", "x" * number)
            store.publish(published(event, *(plan(f"r{rule}", str(each), f"n{rule % 2}") for each in range(targets))))
        elif what == "f":
            store.forget(f"r{rule}")
        else:
            store.note([(each, 1.0) for each in store.firings(f"r{rule}/event/{targets}")[:1]])
        wanted = rows(
            store,
            f"SELECT namespace, sum(bytes + {FIRING_BYTES} * (SELECT count(*) FROM firings f WHERE f.event = e.id))"
            " FROM events e GROUP BY namespace ORDER BY namespace",
        )
        assert rows(store, "SELECT namespace, bytes FROM rooms ORDER BY namespace") == wanted
        kept = "SELECT count(*) FROM events WHERE id NOT IN (SELECT event FROM firings)"
        assert rows(store, kept) == [(0,)]
    store.close()


def test_events_of_the_format_before_go_on(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE)
    upgrade(db, "it", schedule_store.OWN._replace(version=3), {n: MIGRATIONS[n] for n in (1, 2, 3)})
    db.execute("INSERT INTO schedules (uid, generation, namespace, spec, made) VALUES ('r/event/a', 1, 'n', '{}', 0)")
    db.execute(
        "INSERT INTO firings (id, uid, due, fires, attempts, next_attempt, fault, event) VALUES"
        " ('f', 'r/event/a', 0, 0, 0, 0, '', ?), ('g', 's', 0, 0, 0, 0, '', '')",
        (BODY,),
    )
    db.commit()
    db.close()
    store = ScheduleStore(tmp_path / FILE)
    (firing,) = store.firings("r/event/a")
    assert store.event_of(firing) == BODY
    assert rows(store, "SELECT * FROM rooms") == [("n", len(BODY.encode()) + FIRING_BYTES)]
    store.note([(firing, 1.0)])
    assert rows(store, "SELECT * FROM rooms") == rows(store, "SELECT id FROM events") == []
    store.close()


@virtual_time
async def test_events_are_refused_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_store, "MOST_WAITING_BYTES", 2000)
    async with schedules_in_memory() as s:
        events = Events(s)
        await events.rule()
        await events.target()
        s.outside.refuses = lambda call: DeliveryFault("ServiceUnavailable", "busy")
        told = [await events.put() for _ in range(3)]
        assert "EventId" in told[0] and told[2]["ErrorCode"] == "ThrottlingException"
        assert "bytes" in told[2]["ErrorMessage"]
        s.outside.refuses = lambda call: None
        await s.service.advance(3600)
        assert "EventId" in await events.put()
