"""A database elsewhere: it dies, freezes and loses answers, and others write to it. Nothing that was acknowledged is
lost, nothing is written twice, and whoever lost the lead writes nothing.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import orjson
import psutil
import psycopg
import pytest
from contracts.store.outages import LosingProxy, seldom
from contracts.store.things import Reopen, body, history_of, key, put, until
from postgres import a_database, url_of

from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store import postgresql, sharing
from controller.store.leading import Lead
from controller.store.records import Change, NotLeading, Stale, Store, StoreAway, StoreBroken
from controller.store.sql import follow_store, open_store
from services.db_manager.tests.postgres_server import PostgresServer, running

pytestmark = pytest.mark.anyio
WRITERS = 6


@pytest.fixture
def url(database: str) -> str:
    return database


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """One that may be broken."""
    with running() as server:
        yield server


def restart(server: PostgresServer) -> None:
    """As after a power cut."""
    server.kill()
    for left in reversed(range(60)):
        try:
            return server.start()
        except subprocess.CalledProcessError:  # one of its processes that had just begun still ends
            if not left:
                raise
            time.sleep(0.25)
    raise AssertionError("unreachable")


class Written:
    """What was acknowledged, and what nobody knows of, by a token in each body."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, int] = {}
        self.unknown: set[str] = set()

    async def write(self, store: Store, who: int, turn: int) -> None:
        where, token = key(f"{who}-{turn % 5}"), f"{who}/{turn}"
        head = store.get(where)
        change = Change(where, body(where.name, token=token), head.revision if head else 0)
        try:
            (record,) = await store.write([change], by=str(who))
        except StoreAway:
            self.unknown.add(token)
            return
        self.acknowledged[token] = record.revision

    def check(self, url: str) -> int:
        """Every acknowledged write is there, at its revision, and none twice. The newest revision."""
        with psycopg.connect(url) as connection:
            rows = connection.execute("SELECT revision, body FROM records ORDER BY revision").fetchall()
        tokens = [orjson.loads(found)["spec"]["token"] for _, found in rows]
        assert [revision for revision, _ in rows] == list(range(1, len(rows) + 1))
        assert len(set(tokens)) == len(tokens)
        found = dict(zip(tokens, (revision for revision, _ in rows), strict=True))
        assert self.acknowledged.items() <= found.items()
        assert set(found) - set(self.acknowledged) <= self.unknown
        return len(rows)


async def test_a_commit_whose_answer_was_lost_is_found_and_never_repeated(
    postgres: PostgresServer, database: str, opened: Reopen
) -> None:
    proxy = LosingProxy(postgres.endpoint.port, seldom(random.Random(7)))
    written = Written()
    through = database.replace(f":{postgres.endpoint.port}/", f":{proxy.port}/")
    while True:
        try:
            store = await open_store(through, threads=Threads(4), clock=SystemClock())
            break
        except StoreAway:  # lost while the tables were made
            continue

    async def write(who: int) -> None:
        for turn in range(25):
            await written.write(store, who, turn)

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for who in range(WRITERS):
                tasks.start_soon(write, who)
    proxy.close()
    await store.close()
    assert proxy.lost["before"] and proxy.lost["after"]
    assert not written.unknown
    assert written.check(database) == WRITERS * 25


async def test_a_server_that_dies_under_load_costs_nothing_acknowledged(own_server: PostgresServer) -> None:
    """Nor does a watcher miss anything, of this process or of another one, or see it twice."""
    with a_database(own_server) as url:
        stores = [await open_store(url, threads=Threads(4), clock=SystemClock(), recent=16) for _ in range(2)]
        written, seen, over = Written(), dict[int, list[int]](), anyio.Event()

        async def write(who: int) -> None:
            turn = 0
            while not over.is_set():
                await written.write(stores[who % 2], who, turn)
                turn += 1
                await anyio.lowlevel.checkpoint()  # who writes alone is shielded all along

        async def watch(number: int) -> None:
            async with stores[number].follow("", "*", after=0) as follower:
                seen[number] = []
                async for batch in follower:
                    seen[number] += [each.record.revision for each in batch]

        with anyio.fail_after(240):
            async with anyio.create_task_group() as tasks:
                for number in range(2):
                    tasks.start_soon(watch, number)
                async with anyio.create_task_group() as writing:
                    for who in range(WRITERS):
                        writing.start_soon(write, who)
                    for _ in range(3):
                        before = len(written.acknowledged)
                        await until(lambda: len(written.acknowledged) >= before + 30)  # noqa: B023
                        await anyio.to_thread.run_sync(restart, own_server)
                    over.set()
                last = written.check(url)
                await until(lambda: all(len(each) >= last for each in seen.values()))
                tasks.cancel_scope.cancel()
        for each in stores:
            await each.close()
    assert all(each == list(range(1, last + 1)) for each in seen.values())


def renewed(url: str) -> float:
    with psycopg.connect(url) as connection:
        (at,) = connection.execute("SELECT extract(epoch FROM renewed_at)::float FROM lease").fetchone() or (0.0,)
    return float(at)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "WRITING_SECONDS", 0.3)
    monkeypatch.setattr(postgresql, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(sharing, "PATIENCE_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_says_nothing_is_given_up(own_server: PostgresServer) -> None:
    with a_database(own_server) as url:
        store = await open_store(url + "?connect_timeout=2", threads=Threads(4), clock=SystemClock())
        await put(store, key("a"))
        first = psutil.Process(int((own_server.data / "postmaster.pid").read_text().split()[0]))
        frozen = [first, *first.children(recursive=True)]
        for each in frozen:
            each.send_signal(signal.SIGSTOP)
        try:
            with anyio.fail_after(60), pytest.raises(StoreAway, match="cannot write postgresql:"):
                await put(store, key("b"))
            assert store.get(key("a")) is not None
        finally:
            for each in frozen:
                each.send_signal(signal.SIGCONT)
        with anyio.fail_after(60):
            while True:
                try:
                    await put(store, key("c"))
                    break
                except StoreAway:
                    continue
        assert store.trouble is None
        await store.close()


async def test_a_refusal_is_never_for_what_others_have_changed_since(store: Store, opened: Reopen) -> None:
    other = await opened()
    other._listener._loop = None  # type: ignore[attr-defined] # it hears of nothing
    made = await put(store, key("a"))
    await store.write([Change(key("a"), None, made.revision)], by="ada")
    await put(other, key("b"))
    await put(store, key("a"))
    with pytest.raises(Stale) as caught:
        await other.write([Change(key("a"), body("a"), 0)], by="bob")
    assert caught.value.found == 4
    assert [each.record.revision for each in await history_of(other)] == [1, 2, 3, 4]


async def test_whoever_lost_the_lead_writes_nothing(url: str, opened: Reopen) -> None:
    await opened()
    leads = [Lead(url, name, f"https://{name}", seconds=0.2) for name in ("one", "two")]
    assert await anyio.to_thread.run_sync(leads[0].take)
    old = await opened(epoch=leads[0].epoch)
    await put(old, key("a"))
    await until(leads[1].take)
    assert leads[0].may_be_over, "without being told so"
    new = await opened(epoch=leads[1].epoch)
    for write in (partial(put, old, key("b")), partial(old.compact, keep_after=1)):
        with pytest.raises(NotLeading, match="another conductor leads"):
            await write()
    assert (await put(new, key("b"))).revision == 2
    assert leads[0].look() == (2, "two", "https://two", leads[0].look().free)
    for each in leads:
        each.give_back()


async def test_who_follows_knows_what_was_committed_and_writes_nothing(url: str, opened: Reopen) -> None:
    leads = await opened()
    await put(leads, key("a"))
    follows = await follow_store(url, threads=Threads(4), clock=SystemClock())
    try:
        for name in ("b", "c"):
            written = await put(leads, key(name))
            await follows.catch_up()
            assert follows.revision >= written.revision and follows.get(key(name)) is not None
        before = follows.revision
        with pytest.raises(NotLeading):
            await put(follows, key("d"))
        assert (await put(leads, key("d"))).revision == before + 1
    finally:
        await follows.close()


async def test_conductors_hear_of_each_other(url: str, opened: Reopen) -> None:
    await opened()
    leads = [Lead(url, name, f"https://{name}" if name else "") for name in ("one", "two", "")]
    for each in leads:
        each.be_present()
    leads[0].be_present()  # not yet again
    assert [each.others for each in leads] == [(), ("https://one",), ()]
    late = Lead(url, "one", "https://one")
    late.be_present()
    assert late.others == ("https://two",)
    for each in (*leads, late):
        each.give_back()


async def test_a_leader_that_froze_in_the_middle_of_a_batch_keeps_nobody_from_the_lead(
    url: str, opened: Reopen
) -> None:
    """It holds the clock, and the server waits for the rest of what it sends in one go."""
    await opened()
    frozen, second = postgresql.connector(url)(), Lead(url, "two", "")
    frozen.pgconn.enter_pipeline_mode()
    for statement in (b"BEGIN", sharing.LOCK_CLOCK.encode()):
        frozen.pgconn.send_query_params(statement, None)
    frozen.pgconn.send_flush_request()
    frozen.pgconn.flush()

    def takes() -> bool:
        try:
            return second.take()
        except StoreAway:  # the clock is locked
            return False

    with anyio.fail_after(60):
        while not await anyio.to_thread.run_sync(takes):
            pass
    second.give_back()
    frozen.close()


async def test_the_lead_is_kept_by_renewing_and_ends_when_it_is_taken(url: str, opened: Reopen) -> None:
    await opened()
    first, second = (Lead(url, name, "", seconds=2.0) for name in ("one", "two"))
    assert first.take()
    began = renewed(url)
    first.keep()
    await until(lambda: renewed(url) - began > 2.0)
    assert not second.take() and second.may_be_over and not first.may_be_over
    with psycopg.connect(url) as connection:  # as if it had been frozen
        connection.execute("UPDATE lease SET epoch = epoch + 1, holder = 'two'")
    await until(lambda: first.lost)
    first.give_back()
    assert first.look().epoch == 2 and not second.take()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scheme": "mysql"}, "postgresql://"),
        ({"query": "?sslmode=sometimes"}, "sslmode"),
        ({"password": "wrong"}, "password authentication failed"),
        ({"database": "nowhere"}, "nowhere"),
    ],
)
async def test_what_is_wrong_with_a_url_is_said(postgres: PostgresServer, change: dict[str, Any], words: str) -> None:
    url = url_of(postgres, change.get("database", "postgres")) + change.get("query", "")
    if password := change.get("password"):
        url = f"postgresql://postgres:{password}@127.0.0.1:{postgres.endpoint.port}/postgres"
    if scheme := change.get("scheme"):
        url = url.replace("postgresql", scheme)
    with pytest.raises((StoreBroken, StoreAway), match=words) as caught:
        await open_store(url, threads=Threads(2), clock=SystemClock())
    assert "super" not in str(caught.value) and "wrong" not in str(caught.value)


async def test_an_acknowledged_write_waits_for_the_disk_whatever_the_server_says(url: str, opened: Reopen) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET synchronous_commit = off")  # type: ignore[arg-type]
    store = await opened()
    written = store._disk.writer().exec_driver_sql("SHOW synchronous_commit").scalar()  # type: ignore[attr-defined]
    assert written == "on"
