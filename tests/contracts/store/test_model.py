"""The store against a list of dicts: whatever is done to both, they answer the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from postgres import a_database

from controller.kit.clock import SystemClock
from controller.kit.threads import Inline
from controller.store.records import Change, Compacted, Stale
from controller.store.sql import open_store
from crds.meta import ObjectKey
from services.db_manager.tests.postgres_server import PostgresServer

PLACES = [
    ObjectKey("test.dev", plural, namespace, name) for plural in "pq" for namespace in ("", "n") for name in "ab"
]
places = st.sampled_from(PLACES)
State = dict[ObjectKey, tuple[int, int]]
"""Living keys: (revision, value)."""


@contextmanager
def a_file() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/records.db"


class StoreAndModel(RuleBasedStateMachine):
    """`states[r]` is what stood at revision r."""

    def __init__(self, place: Callable[[], AbstractContextManager[str]] = a_file) -> None:
        super().__init__()
        self.place = place()
        self.url = self.place.__enter__()
        self.portal_scope = start_blocking_portal()
        self.portal = self.portal_scope.__enter__()
        self.states: list[State] = [{}]
        self.oldest = 0
        self.open()

    def open(self) -> None:
        self.store = self.portal.call(lambda: open_store(self.url, threads=Inline(), clock=SystemClock(), recent=4))

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        async def run() -> Any:
            with anyio.fail_after(60):
                return await work

        return self.portal.call(run)

    @property
    def now(self) -> State:
        return self.states[-1]

    @rule(
        changed=st.lists(
            st.tuples(places, st.integers(0, 9), st.booleans()),
            min_size=1,
            max_size=4,
            unique_by=lambda c: c[0],
        )
    )
    def write(self, changed: list[tuple[ObjectKey, int, bool]]) -> None:
        changes, states = [], []
        state = self.now
        for key, value, dies in changed:
            found = state.get(key, (0, 0))[0]
            body = None if dies and found else {"metadata": {"name": key.name}, "value": value}
            changes.append(Change(key, body, found))
            state = {k: v for k, v in state.items() if k != key}
            if body is not None:
                state[key] = (len(self.states) + len(states), value)
            states.append(state)
        written = self.do(self.store.write(changes, by="model"))
        assert [r.revision for r in written] == [len(self.states) + n for n in range(len(states))]
        self.states += states

    @rule(key=places, wrong=st.integers(1, 50), other=places)
    def write_stale(self, key: ObjectKey, wrong: int, other: ObjectKey) -> None:
        assume(key != other)  # else the good change could make the wrong guess right
        expect = self.now.get(key, (0, 0))[0] + wrong
        good = Change(other, {"metadata": {}, "value": 1}, self.now.get(other, (0, 0))[0])
        with pytest.raises(Stale):
            self.do(self.store.write([good, Change(key, {"metadata": {}}, expect)], by="model"))

    @rule(share=st.floats(0, 1))
    def compact(self, share: float) -> None:
        keep_after = int(share * (len(self.states) - 1))
        self.do(self.store.compact(keep_after=keep_after))
        self.oldest = max(self.oldest, keep_after)

    @rule()
    def reopen(self) -> None:
        self.do(self.store.close())
        self.open()

    @precondition(lambda self: len(self.states) > 1)
    @rule(share=st.floats(0, 1), key=places)
    def look_back(self, share: float, key: ObjectKey) -> None:
        revision = int(share * (len(self.states) - 1))
        if revision < self.oldest:
            with pytest.raises(Compacted):
                self.do(self.store.list_at("test.dev", "p", None, revision))
            return
        state = self.states[revision]
        for plural in "pq":
            records = self.do(self.store.list_at("test.dev", plural, None, revision)).records
            assert [shown(r) for r in records] == expected(state, plural)
        found = self.do(self.store.get_at(key, revision))
        assert (found and shown(found)) == (None if key not in state else (key, *state[key]))

    @rule(key=places)
    def history(self, key: ObjectKey) -> None:
        kept = [r.revision for r in self.do(self.store.history(key))]
        changed_at = [r for r in range(1, len(self.states)) if self.states[r].get(key) != self.states[r - 1].get(key)]
        superseded = {a for a, b in pairwise(changed_at) if b <= self.oldest}
        dead = {r for r in changed_at if key not in self.states[r] and r <= self.oldest}
        assert kept == [r for r in changed_at if r not in superseded | dead]

    @rule()
    def follow(self) -> None:
        async def everything() -> list[int]:
            found: list[int] = []
            async with self.store.follow("", "*", after=self.oldest) as follower:
                while follower.position < self.store.revision:
                    found += [h.record.revision for h in await anext(aiter(follower))]
            return found

        kept = self.do(everything())
        assert kept == list(range(self.oldest + 1, len(self.states)))

    @invariant()
    def same_now(self) -> None:
        assert (self.store.revision, self.store.oldest) == (len(self.states) - 1, self.oldest)
        for plural in "pq":
            assert [shown(r) for r in self.store.list("test.dev", plural).records] == expected(self.now, plural)

    def teardown(self) -> None:
        self.do(self.store.close())
        self.portal_scope.__exit__(None, None, None)
        self.place.__exit__(None, None, None)


def shown(record: Any) -> tuple[ObjectKey, int, int]:
    return record.key, record.revision, record.object["value"]


def expected(state: State, plural: str) -> list[tuple[ObjectKey, int, int]]:
    return [(key, *state[key]) for key in sorted(state) if key.plural == plural]


StoreAndModel.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestStoreAndModel = StoreAndModel.TestCase


def test_a_store_in_postgresql_and_a_model(postgres: PostgresServer) -> None:
    few = settings(max_examples=5, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(lambda: StoreAndModel(lambda: a_database(postgres)), settings=few)  # type: ignore[no-untyped-call]
