"""The records of a cloud move to a database and back: every one of them, and nothing halfway."""

from __future__ import annotations

import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from contracts.store.things import body, key, put, remove

from cli.lifecycle.migrate import move
from controller.kit.clock import SystemClock
from controller.kit.systemd import Notifier
from controller.kit.threads import Threads
from controller.main.errors import Misuse, UserError
from controller.main.settings import Settings, load
from controller.main.standby import leading
from controller.store.leading import Lead
from controller.store.migrating import Digest, migrate
from controller.store.records import Change, Record, Store
from controller.store.sealing import Sealing
from controller.store.sql import open_store
from services.db_manager.tests.postgres_server import SUPERUSER

pytestmark = pytest.mark.anyio


@pytest.fixture
def elsewhere(database: str, tmp_path: Path) -> str:
    """The URL of an empty database, as settings take it."""
    parts = urlsplit(database)
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:*:{SUPERUSER.replace(chr(92), chr(92) * 2)}\n")
    passfile.chmod(0o600)
    return f"postgresql://postgres@{parts.hostname}:{parts.port}{parts.path}?passfile={passfile}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "store").mkdir(parents=True)
    return home


async def opened(home: Path) -> Store:
    sealing = Sealing(home / "secrets" / "store-key", {("test.dev", "secrets")})
    settings = load({}, home=home)
    return await open_store(settings.store_url, threads=Threads(4), clock=SystemClock(), sealing=sealing)


async def filled(home: Path) -> list[Record]:
    store = await opened(home)
    for number in range(30):
        for turn in range(12):
            await put(store, key(f"n{number}"), turn=turn, text="x" * 100)
    await put(store, key("one", plural="secrets"), password="hidden")
    await remove(store, key("n3"))
    await remove(store, key("n4"))
    await put(store, key("n4"), again=True)
    await store.compact(keep_after=100)
    return await everything(store)


async def everything(store: Store) -> list[Record]:
    """All of the history that is kept, and closes the store."""
    names = [key(f"n{number}") for number in range(30)] + [key("one", plural="secrets")]
    found = [each for name in names for each in await store.history(name)]
    living = [*store.list("test.dev", "things").records, *store.list("test.dev", "secrets").records]
    await store.close()
    return [*found, *living]


async def test_every_record_moves_there_and_back(home: Path, elsewhere: str) -> None:
    before = await filled(home)
    said = move(load({}, home=home), elsewhere)
    assert "resources" in said and "up to revision 364" in said
    assert tomllib.loads((home / "settings.toml").read_text())["store"] == elsewhere
    assert not (home / "store" / "records.db").exists()
    assert [each.name[:17] for each in (home / "store").iterdir()] == ["records.db.moved-"]
    there = await opened(home)
    assert there.oldest == 100
    assert await everything(there) == before
    with psycopg.connect(elsewhere) as connection:
        (sealed,) = connection.execute("SELECT body FROM records WHERE plural = 'secrets'").fetchone() or ()
        assert bytes(sealed)[:1] == b"\x01"
    move(load({}, home=home), "file")
    assert load({}, home=home).store == ""
    assert await everything(await opened(home)) == before
    assert not Lead(elsewhere, "late", "").take()


async def test_what_broke_off_is_gone_on_with(home: Path, elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await filled(home)

    def killed(settings: Settings) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cli.lifecycle.migrate.remember", killed)
        move(load({}, home=home), elsewhere)
    assert (home / "store" / "records.db").exists() and not load({}, home=home).store
    (home / "settings.toml").write_text(f'store = "{elsewhere}"\n')  # as if it had come so far
    with pytest.raises(UserError, match="holds the records"):
        async with leading(load({}, home=home), Notifier({})):
            pass
    move(load({}, home=home), elsewhere)
    assert await everything(await opened(home)) == before


async def test_a_database_that_was_left_is_gone_on_with_by_whoever_left_it(
    home: Path, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await filled(home)
    move(load({}, home=home), elsewhere)

    def killed(source: Settings, target: Settings) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cli.lifecycle.migrate._settle", killed)
        move(load({}, home=home), "file")
    assert load({}, home=home).store == elsewhere and not Lead(elsewhere, "late", "").take()
    other = home.parent / "other"
    (other / "store").mkdir(parents=True)
    with pytest.raises(UserError, match="is led by nobody: its records went to"):
        move(load({"AEREKOS_STORE": elsewhere}, home=other), "file")
    move(load({}, home=home), "file")
    assert load({}, home=home).store == "" and not Lead(elsewhere, "late", "").take()
    assert await everything(await opened(home)) == before


async def test_who_has_lost_the_lead_meanwhile_leaves_all_as_it_was(
    home: Path, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stood still for longer than its lease lasts, and another one has written since."""
    await filled(home)
    move(load({}, home=home), elsewhere)

    def slow(source: str, target: str) -> Digest:
        with psycopg.connect(elsewhere) as connection:
            connection.execute(
                "UPDATE lease SET epoch = epoch + 1, holder = 'another', renewed_at = clock_timestamp()"
            )
        return migrate(source, target)

    monkeypatch.setattr("cli.lifecycle.migrate.migrate", slow)
    with pytest.raises(UserError, match="another one took the lead"):
        move(load({}, home=home), "file")
    assert load({}, home=home).store == elsewhere
    assert [each.name for each in (home / "store").iterdir() if ".moved-" not in each.name] == []
    assert Lead(elsewhere, "late", "").look().holder == "another"


async def test_a_database_with_something_else_in_it_is_left_alone(home: Path, elsewhere: str) -> None:
    await filled(home)
    other = await open_store(elsewhere, threads=Threads(2), clock=SystemClock())
    await other.write([Change(key("a"), body("a"), 0)], by="ada")
    await other.close()
    with pytest.raises(UserError, match="not empty: it stands at revision 1"):
        move(load({}, home=home), elsewhere)
    assert (home / "store" / "records.db").exists() and not (home / "settings.toml").exists()
    with psycopg.connect(elsewhere) as connection:
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (1,)


async def test_a_record_that_was_changed_on_its_way_is_found(
    home: Path, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controller.store import dump

    await filled(home)
    real = dump.fill

    def damaged(url: str, *rest: object) -> None:
        real(url, *rest)  # type: ignore[arg-type]
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE records SET written_by = 'eve' WHERE revision = 300")

    monkeypatch.setattr("controller.store.dump.fill", damaged)
    with pytest.raises(UserError, match="records from revision 256 to 511 are others"):
        move(load({}, home=home), elsewhere)
    assert (home / "store" / "records.db").exists() and not (home / "settings.toml").exists()


async def test_a_database_that_is_led_is_not_taken(home: Path, elsewhere: str) -> None:
    await filled(home)
    async with leading(load({"AEREKOS_STORE": elsewhere}, home=home.parent / "other"), Notifier({})):
        with pytest.raises(UserError, match="is led by"):
            move(load({}, home=home), elsewhere)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////tmp/x.db", "must be a URL of PostgreSQL"),
        ("postgresql://ada:secret@db/x", "has a password in it"),
        ("postgresql://ada@db/x?password=secret", "has a password in it"),
        ("postgresql://ada@db/x?passfile=pgpass", "absolute path"),
        ("file", "there already"),
    ],
)
def test_what_is_no_target_is_named(home: Path, url: str, words: str) -> None:
    with pytest.raises(Misuse, match=words) as caught:
        move(load({}, home=home), url)
    assert "secret" not in str(caught.value)
