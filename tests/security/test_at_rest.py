"""What somebody finds who gets the database or the folder of a cloud: names, no secrets."""

from __future__ import annotations

import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from clouds import REPOSITORY, Cloud, a_port, kill
from hypothesis import given
from hypothesis import strategies as st

from controller.kit.clock import SystemClock
from controller.kit.modes import tighten
from controller.kit.threads import Inline
from controller.store import resealing
from controller.store.records import Change, Store, StoreBroken
from controller.store.sealing import Sealing
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.join_token import JOIN_TOKEN
from crds.kinds.secret import SECRET
from crds.kinds.user import CREDENTIAL
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio
PLAIN = "aHVudGVyMi1odW50ZXIyLWh1bnRlcjI"
OPEN = "everybody-may-read-this"
KEYS = {
    "secret": SECRET.key("db", "default"),
    "credential": CREDENTIAL.key("admin"),
    "token": JOIN_TOKEN.key("machines"),
}
ALL = {(kind.group, kind.plural) for kind in CORE_KINDS if kind.sealed}


def body(name: str, number: int = 0) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": "1"}, "data": {"password": f"{PLAIN}{number}"}}


@asynccontextmanager
async def opened(home: Path, kinds: set[tuple[str, str]] | None = None) -> AsyncIterator[Store]:
    sealing = Sealing(home / "secrets" / "store-key", ALL if kinds is None else kinds)
    (home / "store").mkdir(parents=True, exist_ok=True)
    store = await open_store(
        f"sqlite:///{home}/store/records.db", threads=Inline(), clock=SystemClock(), sealing=sealing
    )
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def unsealed(home: Path) -> AsyncIterator[Store]:
    """As the version before this one kept it."""
    (home / "store").mkdir(parents=True, exist_ok=True)
    store = await open_store(f"sqlite:///{home}/store/records.db", threads=Inline(), clock=SystemClock())
    try:
        yield store
    finally:
        await store.close()


async def fill(store: Store, versions: int = 3) -> None:
    for key in KEYS.values():
        revision = 0
        for number in range(versions):
            (record,) = await store.write([Change(key, body(key.name, number), revision)], by="test")
            revision = record.revision
    gone = SECRET.key("gone", "default")
    (record,) = await store.write([Change(gone, body("gone"), 0)], by="test")
    await store.write([Change(gone, None, record.revision)], by="test")
    await store.write([Change(CONFIG_MAP.key("m", "default"), {"data": {"a": OPEN}, "metadata": {}}, 0)], by="test")


def on_disk(home: Path) -> bytes:
    """Everything the store's folder holds, the log and what is left of deleted rows included."""
    return b"".join(each.read_bytes() for each in (home / "store").iterdir())


def test_the_kinds_that_hold_secrets_are_sealed() -> None:
    """A kind nobody but the conductor may see is one: whoever adds the next is asked here."""
    for kind in Catalog(CORE_KINDS):
        hidden = kind.internal or kind.plural in ("secrets", "jointokens")
        assert kind.sealed or not hidden, f"{kind.name} is internal, but lies on disk in plain: sealed=True"


async def test_the_file_holds_no_secret_and_all_is_read_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await fill(store)
        before = {key: store.get(key).object for key in KEYS.values()}  # type: ignore[union-attr]
        assert PLAIN.encode() not in on_disk(tmp_path), "nor in the log, while it runs"
        old = await store.get_at(KEYS["secret"], 1)
        assert old is not None and old.object["data"]["password"] == f"{PLAIN}0"
    assert PLAIN.encode() not in on_disk(tmp_path) and OPEN.encode() in on_disk(tmp_path)
    async with opened(tmp_path) as store:
        assert {key: store.get(key).object for key in KEYS.values()} == before  # type: ignore[union-attr]
        history = await store.history(SECRET.key("gone", "default"))
        assert [each.verb for each in history] == ["created", "deleted"]
        assert all(each.object["data"]["password"] == f"{PLAIN}0" for each in history)
        listed = await store.list_at("", "secrets", "default", 2)
        assert [each.object["data"]["password"] for each in listed.records] == [f"{PLAIN}1"]
        async with store.follow("", "secrets", after=0) as follower:
            batch = await follower.__aiter__().__anext__()
        assert [each.record.object["data"]["password"] for each in batch][:3] == [f"{PLAIN}{n}" for n in range(3)]
        assert batch[1].before is not None and batch[1].before.object["data"]["password"] == f"{PLAIN}0"
        await store.compact(keep_after=store.revision)
    assert PLAIN.encode() not in on_disk(tmp_path)


async def test_what_the_version_before_left_in_plain_is_really_gone(tmp_path: Path) -> None:
    async with unsealed(tmp_path) as store:
        await fill(store, versions=40)
        await store.compact(keep_after=20)  # pages that are free, and still hold it
    assert PLAIN.encode() in on_disk(tmp_path)
    async with opened(tmp_path) as store:
        assert PLAIN.encode() not in on_disk(tmp_path)
        assert store.get(KEYS["secret"]).object["data"]["password"] == f"{PLAIN}39"  # type: ignore[union-attr]
        assert len(await store.history(KEYS["credential"])) == 40
        revision = store.revision
    async with opened(tmp_path) as store:
        assert store.revision == revision, "sealing is no change"


async def test_a_start_that_was_killed_in_the_middle_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows are sealed, but what they were still lies in free pages: the next start must not think it is done."""
    async with unsealed(tmp_path) as store:
        await fill(store, versions=40)
        await store.compact(keep_after=20)
    monkeypatch.setattr(resealing, "_forget_what_was", _killed)
    with pytest.raises(KeyboardInterrupt):
        async with opened(tmp_path):
            pass
    monkeypatch.undo()
    assert PLAIN.encode() in on_disk(tmp_path)
    async with opened(tmp_path):
        assert PLAIN.encode() not in on_disk(tmp_path)


def _killed(_: Any) -> None:
    raise KeyboardInterrupt


DIES = """
import os, signal, sys
from pathlib import Path
from controller.kit.clock import SystemClock
from controller.kit.threads import Inline
from controller.store import resealing
from controller.store.sealing import Sealing
from controller.store.sql import open_store
import anyio

home, left = Path(sys.argv[1]), int(sys.argv[2])
rewrite, resealing._BATCH = resealing._rewrite, 7

def dies(*batch):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    rewrite(*batch)

async def start():
    sealing = Sealing(home / "secrets" / "store-key", {tuple(each.split("/")) for each in sys.argv[3:]})
    await open_store(
        f"sqlite:///{home}/store/records.db", threads=Inline(), clock=SystemClock(), sealing=sealing
    )

resealing._rewrite = dies
anyio.run(start)
"""


@pytest.mark.parametrize("batches", [0, 1, 5])
async def test_a_process_that_is_killed_between_two_batches_of_sealing_is_made_good(
    tmp_path: Path, batches: int
) -> None:
    async with unsealed(tmp_path) as store:
        await fill(store, versions=40)
        revision = store.revision
    kinds = ["/".join(each) for each in sorted(ALL)]
    await anyio.to_thread.run_sync(_dies, tmp_path, batches, kinds)
    assert sealed_rows(tmp_path) == batches * 7 and PLAIN.encode() in on_disk(tmp_path)
    async with opened(tmp_path) as store:
        assert PLAIN.encode() not in on_disk(tmp_path) and store.revision == revision
        for key in KEYS.values():
            passwords = [each.object["data"]["password"] for each in await store.history(key)]
            assert passwords == [f"{PLAIN}{number}" for number in range(40)]


def _dies(home: Path, batches: int, kinds: list[str]) -> None:
    command = [sys.executable, "-c", DIES, str(home), str(batches), *kinds]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def sealed_rows(home: Path) -> int:
    database = sqlite3.connect(home / "store" / "records.db")
    (found,) = database.execute("SELECT count(*) FROM records WHERE substr(body, 1, 1) = x'01'").fetchone()
    database.close()
    return int(found)


async def test_a_kind_that_is_sealed_from_now_on_is_rewritten_too(tmp_path: Path) -> None:
    async with opened(tmp_path, {("", "secrets")}) as store:
        await fill(store)
    assert PLAIN.encode() in on_disk(tmp_path)
    async with opened(tmp_path):
        pass
    assert PLAIN.encode() not in on_disk(tmp_path)


async def test_without_its_key_it_says_what_is_missing_and_writes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await fill(store)
    key = tmp_path / "secrets" / "store-key"
    kept = key.read_bytes()
    key.unlink()
    with pytest.raises(StoreBroken, match="store-key, and it is not there: put that file back"):
        async with opened(tmp_path):
            pass
    assert not key.exists(), "another key would only hide what happened"
    Sealing(key, ALL).keep()
    with pytest.raises(StoreBroken, match="it has another"):
        async with opened(tmp_path):
            pass
    with pytest.raises(StoreBroken, match="opens only with its key"):
        async with unsealed(tmp_path):
            pass
    key.write_bytes(kept)
    async with opened(tmp_path) as store:
        assert store.get(KEYS["secret"]) is not None


@pytest.mark.parametrize("content", [b"", b"\n", b"abcd", b"00112233 AAAA\n", b"zz" * 8 + b" " + b"A" * 44])
def test_a_key_that_was_cut_off_is_named_not_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "store-key").write_bytes(content)
    with pytest.raises(OSError, match="half a key") as refused:
        Sealing(tmp_path / "store-key", ALL)
    assert refused.value.filename == str(tmp_path / "store-key")


async def test_keys_change_by_a_line_on_top(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await fill(store)
    key = tmp_path / "secrets" / "store-key"
    old = key.read_bytes()
    other = tmp_path / "other"
    Sealing(other, ALL).keep()
    key.write_bytes(other.read_bytes() + old)
    async with opened(tmp_path) as store:
        assert store.get(KEYS["secret"]) is not None
    key.write_bytes(other.read_bytes())
    async with opened(tmp_path) as store:
        assert store.get(KEYS["secret"]).object["data"]["password"] == f"{PLAIN}2"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE records SET body = (SELECT body FROM records WHERE revision = 1) WHERE revision = 3",
        "UPDATE records SET body = CAST(substr(body, 1, length(body) - 1)"
        " || CASE substr(body, -1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB) WHERE revision = 3",
        "UPDATE records SET body = substr(body, 1, 15) WHERE revision = 3",
    ],
    ids=["another version's body", "a changed byte", "cut off"],
)
async def test_a_row_that_somebody_changed_does_not_open(tmp_path: Path, change: str) -> None:
    async with opened(tmp_path) as store:
        await fill(store)
    database = sqlite3.connect(tmp_path / "store" / "records.db")
    database.execute(change)
    database.commit()
    database.close()
    with pytest.raises(StoreBroken, match="does not open: its row was damaged or changed"):
        async with opened(tmp_path):
            pass


@given(st.binary(max_size=200), st.integers(1, 2**53), st.text(max_size=8), st.integers(0, 400))
def test_whatever_is_sealed_opens_only_as_itself(body: bytes, revision: int, name: str, flip: int) -> None:
    sealing = Sealing(Path("/nowhere/store-key"), ALL)
    key = ObjectKey("", "secrets", "default", name)
    sealed = sealing.seal(key, revision, body)
    assert sealing.open(key, revision, sealed) == body and sealing.is_current(sealed)
    for other, at in ((key._replace(name=f"{name}x"), revision), (key, revision + 1)):
        with pytest.raises(StoreBroken):
            sealing.open(other, at, sealed)
    place = flip % (len(sealed) - 1) + 1
    with pytest.raises(StoreBroken):
        sealing.open(key, revision, sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :])


def test_equal_bodies_are_not_seen_to_be_equal(tmp_path: Path) -> None:
    sealing = Sealing(tmp_path / "k", ALL)
    key = KEYS["secret"]
    first, second = sealing.seal(key, 1, b"{}"), sealing.seal(key, 1, b"{}")
    assert first != second and sealing.open(key, 1, first) == sealing.open(key, 1, second) == b"{}"


def test_other_kinds_are_passed_on_as_they_are(tmp_path: Path) -> None:
    body = b'{"a": 1}'
    assert Sealing(tmp_path / "k", ALL).seal(ObjectKey("", "configmaps", "default", "m"), 1, body) is body


# --- the folder ---


def test_everything_in_a_home_is_closed_and_what_was_open_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in ("tls", "store", "data/key-manager", "run/instances", "logs/services"):
        (home / name).mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    files = [
        home / name for name in ("tls/ca.crt", "store/records.db", "run/instances/a.json", "logs/services/a.log")
    ]
    for file in files:
        file.write_text("x")
        file.chmod(0o644)
    (home / "tls" / "link").symlink_to(outside)
    theirs = home / "data" / "key-manager" / "kept"
    theirs.write_text("x")
    theirs.chmod(0o640)
    (home / "store").chmod(0o777)
    told = tighten(home, apart=frozenset({"data"}))
    assert f"{home / 'store'} was 0777" in told and f"{files[1]} was 0644" in told
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    folders = [home, *(each for each in home.rglob("*") if each.is_dir())]
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in folders)
    assert outside.stat().st_mode & 0o777 == 0o644, "a link is not followed"
    assert theirs.stat().st_mode & 0o777 == 0o640, "what a service has is its own, behind a closed folder"
    assert tighten(home, apart=frozenset({"data"})) == []


# --- a whole cloud ---

SECRET_TEXT = "correct-horse-battery-staple"
OPEN_FILES = """
import os, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
for path in sys.argv[1:]:
    try:
        os.close(os.open(path, os.O_RDONLY))
        print("opened", path)
    except PermissionError:
        pass
"""


def test_in_a_running_cloud_nobody_reads_and_nothing_is_plain(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "home", a_port())
    try:
        _everywhere(cloud)
    finally:
        cloud.command("down")


REFUSED: list[dict[str, Any]] = [
    {"data": {"p": SECRET_TEXT}},
    {"data": SECRET_TEXT},
    {"stringData": [SECRET_TEXT]},
    {"stringDta": {"p": SECRET_TEXT}},
    {"stringData": {f"p {SECRET_TEXT}": ""}},
    {"stringData": {"p": SECRET_TEXT * 60_000}},
]


def _refused(cloud: Cloud) -> None:
    """Whoever mistypes a Secret finds it in no log either."""
    with cloud.http() as admin:
        for each in REFUSED:
            manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mistyped"}, **each}
            path = "/api/v1/namespaces/default/secrets?fieldValidation=Strict"
            answer = admin.post(path, json=manifest)
            assert answer.status_code >= 400, (each, answer.text)


def _everywhere(cloud: Cloud) -> None:
    cloud.home.mkdir(mode=0o755)
    (cloud.home / "store").mkdir(mode=0o755)
    cloud.do("up")
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": SECRET_TEXT}}
    cloud.do("apply", "-f", "-", text=json.dumps(manifest))
    cloud.do("apply", "-f", "-", text=json.dumps({**manifest, "stringData": {"p": f"{SECRET_TEXT}2"}}))
    _refused(cloud)
    plain = [SECRET_TEXT.encode(), base64.b64encode(SECRET_TEXT.encode())[:32], b"scrypt$"]
    for file in (each for each in cloud.home.rglob("*") if each.is_file()):
        content = file.read_bytes()
        assert not any(each in content for each in plain), file
    for each in [cloud.home, *cloud.home.rglob("*")]:
        if not each.is_symlink() and not each.is_relative_to(cloud.home / "data" / "storage-manager"):
            assert each.stat().st_mode & 0o077 == 0, f"{each} is {each.stat().st_mode & 0o777:04o}"
    if os.geteuid() == 0:
        paths = [str(each) for each in cloud.home.rglob("*") if each.is_file()]
        said = subprocess.run([sys.executable, "-c", OPEN_FILES, *paths], capture_output=True, text=True, check=True)
        assert said.stdout == ""
    (cloud.home / "store" / "records.db").chmod(0o644)
    kill(cloud.conductor_pid())
    cloud.do("up")
    assert (cloud.home / "store" / "records.db").stat().st_mode & 0o777 == 0o600
    assert "closed what others could read" in (cloud.home / "logs" / "conductor.log").read_text()
    assert cloud.get("secrets", "s")["data"]["p"] == base64.b64encode(f"{SECRET_TEXT}2".encode()).decode()
