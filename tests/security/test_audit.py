"""The audit log under attack: nothing grows it, pushes lines out of it, changes it unseen, or is done without it.

The first test is the one an attacker did: requests with a User-Agent of 20 MiB.
"""

from __future__ import annotations

import json
import resource
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import ADMIN, Hands, House, make_house

from api.audit import Audit
from api.audit.chain import Chain, verify
from api.audit.fields import LINE_BYTES, fitted
from api.audit.journal import Journal, end_of, lines_of, read_head, rotated_files
from api.audit.log import KEPT_BYTES
from api.audit.notes import Notes, taken
from api.audit.options import AuditOptions
from api.audit.sinks import FileSink, Follower, SyslogSink, WebhookSink
from api.auth.principal import Principal
from crds.errors import Unavailable

KEY = b"k" * 32
NAMESPACES = "/api/v1/namespaces"
MIB = 2**20


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    yield made
    await made.close()


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def ask(path: str = "/api/v1/namespaces", method: str = "POST", **more: Any) -> dict[str, Any]:
    return {"method": method, "path": path, "query_string": b"", "headers": [], "client": ("10.0.0.9", 1), **more}


# what is sent cannot grow it


@pytest.mark.anyio
async def test_huge_headers_paths_and_queries_push_nothing_out(house: House, tmp_path: Path) -> None:
    huge = "x" * (20 * MIB)
    async with house.client(house.bearer(ADMIN)) as client:
        await client.post(NAMESPACES, json={"metadata": {"name": "first"}})
        for _ in range(24):
            await client.post(NAMESPACES, json={}, headers={"user-agent": huge})
    # What a client library would not send.
    house.audit.note(ask(f"/api/v1/{huge}"), ADMIN, 404, "r")
    house.audit.note(ask(query_string=huge.encode()), ADMIN, 404, "r")
    lines = (tmp_path / "audit.log").read_bytes().splitlines()
    assert len(lines) == 27
    assert max(map(len, lines)) <= LINE_BYTES
    told = read(tmp_path / "audit.log")
    assert told[1]["userAgent"].endswith(f"...[+{20 * MIB - 256}]")
    _, kept = house.audit.since(0)
    assert json.loads(kept[0])["code"] == 201  # the first is still shown
    assert sum(map(len, kept)) < KEPT_BYTES


def test_many_long_lines_in_memory_are_bounded_in_bytes(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.log", Hands())
    who = Principal("\x00" * 300, frozenset("\x01" * 120 + str(n) for n in range(400)))
    for _ in range(300):
        audit.note(ask("/" + "\x02" * 5000, headers=[(b"user-agent", b"\x03" * 5000)]), who, 201, "r")
    _, kept = audit.since(0)
    assert sum(map(len, kept)) <= KEPT_BYTES
    assert max(map(len, kept)) <= LINE_BYTES + 100  # and the seal
    audit.close()


@given(st.dictionaries(st.sampled_from(["user", "path", "query", "reason", "resource"]), st.text()), st.text())
def test_any_line_fits(fields: dict[str, str], body: str) -> None:
    line = {**fields, "groups": [body] * 4, "requestObject": {"a": body * 2000}, "path": "\x00" * 9000}
    assert len(fitted(line)) <= LINE_BYTES


@pytest.mark.anyio
async def test_a_flood_of_refusals_becomes_a_few_lines_that_count_it(house: House, tmp_path: Path) -> None:
    async with house.client() as client:
        for n in range(500):
            await client.get(f"/api/v1/namespaces/default/secrets/s{n}", headers={"authorization": "Bearer nonsense"})
    house.clock.forward(11)
    house.audit.tick()
    lines = read(tmp_path / "audit.log")
    assert len(lines) < 130
    assert sum(line.get("count", 1) for line in lines) == 500
    assert all(line["decision"] == "forbid" and line["code"] == 401 for line in lines)


# how long it is kept


def journal(folder: Path, clock: Hands, **options: Any) -> Journal:
    return Journal(folder / "audit.log", clock, Chain(KEY), **options)


def test_it_rotates_by_size_and_day_and_deletes_nothing_younger_than_the_floor(tmp_path: Path) -> None:
    clock = Hands()
    kept = journal(tmp_path, clock, floor=timedelta(days=30), limit_bytes=2000)
    for _ in range(40):
        kept.append(b'{"a":"%b"}' % (b"x" * 100))
    assert len(rotated_files(tmp_path / "audit.log")) > 2
    for _ in range(29):
        clock.forward(86400)
        kept.append(b'{"day":1}')
        kept.look_after()
    everything = [line for _, line in lines_of([*rotated_files(tmp_path / "audit.log"), tmp_path / "audit.log"])]
    assert len(everything) == 69  # 29 days later, nothing is gone
    clock.forward(2 * 86400)
    kept.look_after()
    left = [line for _, line in lines_of([*rotated_files(tmp_path / "audit.log"), tmp_path / "audit.log"])]
    assert 20 < len(left) < 69
    kept.close()


def test_over_its_size_it_alarms_and_keeps_everything(tmp_path: Path) -> None:
    kept = journal(tmp_path, Hands(), limit_bytes=1000, most_bytes=3000)
    for _ in range(50):
        kept.append(b'{"a":"%b"}' % (b"x" * 100))
    kept.look_after()
    assert "over the 3000 allowed" in kept.alarm
    files = [*rotated_files(tmp_path / "audit.log"), tmp_path / "audit.log"]
    assert sum(1 for _ in lines_of(files)) == 50
    kept.close()


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "audit.log").touch(mode=0o644)
    kept = journal(tmp_path, Hands(), limit_bytes=200)
    for _ in range(5):
        kept.append(b'{"a":"%b"}' % (b"x" * 100))
    kept.close()
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("audit.log*")} == {0o600}


# what was written cannot be changed unseen


def written(folder: Path, lines: int = 12) -> list[Path]:
    kept = journal(folder, Hands(), limit_bytes=400)
    for n in range(lines):
        kept.append(b'{"user":"u%d","code":201}' % n)
    kept.close()
    return [each for each in (*rotated_files(folder / "audit.log"), folder / "audit.log") if each.exists()]


def faults(folder: Path, key: bytes = KEY) -> list[str]:
    file = folder / "audit.log"
    return verify(
        Chain(key), lines_of([each for each in (*rotated_files(file), file) if each.exists()]), read_head(file)
    ).faults


def test_an_untouched_log_verifies_over_files_and_restarts(tmp_path: Path) -> None:
    written(tmp_path)
    assert len(written(tmp_path)) > 2
    file = tmp_path / "audit.log"
    found = verify(Chain(KEY), lines_of([*rotated_files(file), file]), read_head(file))
    assert (found.faults, found.lines, found.first, found.last.seq) == ([], 24, 1, 24)


@pytest.mark.parametrize("how", ["change", "drop", "swap", "truncate", "add", "unseal", "dropfile"])
def test_every_change_shows(tmp_path: Path, how: str) -> None:
    files = written(tmp_path)
    middle = files[1]
    lines = middle.read_bytes().splitlines(keepends=True)
    match how:
        case "change":
            lines[1] = lines[1].replace(b'"code":201', b'"code":403')
        case "drop":
            del lines[1]
        case "swap":
            lines[0], lines[1] = lines[1], lines[0]
        case "add":
            lines.insert(1, lines[0])
        case "unseal":
            lines[1] = b'{"user":"nobody","code":201}\n'
        case "truncate":
            files[-1].unlink()
            files[-2].unlink()
        case "dropfile":
            lines = []
    if how != "truncate":
        middle.write_bytes(b"".join(lines))
    assert faults(tmp_path)


def test_without_the_key_nobody_makes_a_chain(tmp_path: Path) -> None:
    written(tmp_path)
    for file in tmp_path.glob("audit.log*"):
        file.unlink()
    kept = Journal(tmp_path / "audit.log", Hands(), Chain(b"guess" * 7))
    for _ in range(3):
        kept.append(b'{"user":"forged"}')
    kept.close()
    assert faults(tmp_path)


def test_lines_of_a_version_without_seals_stay_readable(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_bytes(b'{"user":"ada"}\n{"user":"bo"}\n{"broken')
    kept = journal(tmp_path, Hands())
    kept.append(b'{"user":"new"}')
    kept.close()
    file = tmp_path / "audit.log"
    found = verify(Chain(KEY), lines_of([file]), read_head(file))
    assert (found.faults, found.unsealed, found.lines) == ([], 2, 1)
    assert len(end_of(file).lines) == 3


# nothing is done without it


@contextmanager
def no_file_grows(beyond: int) -> Iterator[None]:
    """As a full disk: writing beyond that many bytes fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (beyond, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.anyio
@pytest.mark.parametrize("failure", ["refuse", "continue"])
async def test_a_disk_that_takes_no_line_refuses_changes_and_reads_go_on(tmp_path: Path, failure: Any) -> None:
    file = tmp_path / "audit.log"
    file.write_bytes(b"\0" * 16 * MIB + b"\n")  # far beyond what the store of this test grows to
    house = await make_house(tmp_path, AuditOptions(failure=failure))
    async with house.client(house.bearer(ADMIN)) as client:
        with no_file_grows(file.stat().st_size + 10):
            noticed = await client.post(NAMESPACES, json={"metadata": {"name": "one"}})
            refused = await client.post(NAMESPACES, json={"metadata": {"name": "two"}})
            shown = await client.get(NAMESPACES)
            ready = (await client.get("/ready")).json()
            measured = (await client.get("/metrics")).text
        assert noticed.status_code == 201
        assert refused.status_code == (503 if failure == "refuse" else 201)
        assert shown.status_code == 200
        assert "the audit log cannot be written" in ready["audit"][0]
        assert "aerekos_audit_problems 1.0" in measured
        house.audit.tick()
        again = await client.post(NAMESPACES, json={"metadata": {"name": "three"}})
        assert again.status_code == 201
    lines = [json.loads(line) for line in file.read_bytes().splitlines() if line.startswith(b"{")]
    # What happened while the disk was full was not lost, and no half line is between.
    assert [line["code"] for line in lines] == [201, 503 if failure == "refuse" else 201, 201]
    assert verify(Chain(b"a" * 32), lines_of([file]), read_head(file)).faults == []
    await house.close()


def test_waiting_lines_are_bounded_and_losses_are_told(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.log", Hands(), options=AuditOptions(failure="continue"))
    with no_file_grows(0):
        for _ in range(9000):
            audit.note(ask(headers=[(b"user-agent", b"x" * 200)]), ADMIN, 201, "r")
    assert audit.journal.lost > 0
    assert any("were lost" in each for each in audit.problems())
    audit.close()


def test_aws_reads_go_on_and_aws_changes_are_refused(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.log", Hands())
    with no_file_grows(0):
        audit.note(ask(), ADMIN, 201, "r")
        audit.check(ask("/", headers=[(b"x-amz-target", b"TrentService.Decrypt")]))
        audit.check(ask("/bucket/key", "GET"))
        with pytest.raises(Unavailable):
            audit.check(ask("/", headers=[(b"x-amz-target", b"TrentService.CreateKey")]))
        with pytest.raises(Unavailable):
            audit.check(ask("/bucket/key", "PUT"))
    audit.close()


# it goes elsewhere as well


class _Collector:
    """A webhook's other end. `broken`: answers 500."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.broken = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.items += [] if outer.broken else body["items"]
                outer.kind = body["kind"], body["apiVersion"]
                self.send_response(500 if outer.broken else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"


def test_a_webhook_gets_events_as_kubernetes_has_them_and_none_is_lost_while_it_is_away(tmp_path: Path) -> None:
    collector, clock = _Collector(), Hands()
    audit = Audit(tmp_path / "audit.log", clock, key=KEY)
    follower = Follower(audit.journal, WebhookSink(collector.url), tmp_path / "kept.json")
    who = Principal("ada", frozenset({"aerekos:editor"}), acting="system:service:x")
    audit.note(ask("/api/v1/namespaces/shop/secrets/db", "GET"), who, 200, "id-1")
    assert follower.step()
    (event,) = collector.items
    assert collector.kind == ("EventList", "audit.k8s.io/v1")
    assert (event["verb"], event["objectRef"]["resource"], event["objectRef"]["namespace"]) == (
        "get",
        "secrets",
        "shop",
    )
    assert event["user"]["username"] == "system:service:x"
    assert event["impersonatedUser"]["username"] == "ada"
    assert event["sourceIPs"] == ["10.0.0.9"]
    collector.broken = True
    audit.journal._limit = 1000  # so that files turn over while it is away
    for n in range(20):
        audit.note(ask(f"/api/v1/namespaces/n{n}", "DELETE"), who, 200, f"id-{n}")
    with pytest.raises(OSError, match="500"):
        follower.step()
    collector.broken = False
    # A new process goes on where the old one came to.
    again = Follower(audit.journal, WebhookSink(collector.url), tmp_path / "kept.json")
    while again.step():
        pass
    names = [item["objectRef"]["name"] for item in collector.items[1:]]
    assert names == [f"n{n}" for n in range(20)]
    audit.close()
    collector.server.shutdown()
    collector.server.server_close()


def test_syslog_gets_messages_of_rfc_5424(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.log", Hands(), key=KEY)
    audit.note(ask(), ADMIN, 201, "r")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        sink = SyslogSink(f"udp://127.0.0.1:{receiver.getsockname()[1]}", "cloud")
        assert Follower(audit.journal, sink, tmp_path / "k.json").step()
        message = receiver.recv(65536).decode()
        sink._close()
    head, _, rest = message.partition(" [aerekos@32473 ")
    assert head.startswith("<110>1 ") and " cloud aerekos-audit " in head
    assert json.loads(rest.partition("] ")[2])["path"] == NAMESPACES
    audit.close()


def test_syslog_over_tcp_counts_octets(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.log", Hands(), key=KEY)
    for _ in range(2):
        audit.note(ask(), ADMIN, 201, "r")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sink = SyslogSink(f"tcp://127.0.0.1:{listener.getsockname()[1]}", "cloud")
        assert Follower(audit.journal, sink, tmp_path / "k.json").step()
        connection, _ = listener.accept()
        connection.settimeout(10)
        data = connection.recv(65536)
        size, _, rest = data.partition(b" ")
        assert rest[int(size) :].partition(b" ")[0].isdigit()  # the second begins right behind
        sink._close()
        connection.close()
    audit.close()


def test_a_sink_that_fails_is_told_and_a_second_file_has_every_line(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.log", Hands(), key=KEY)
    follower = Follower(audit.journal, FileSink(tmp_path / "no" / "copy.log"), tmp_path / "k.json", lambda _: None)
    audit.note(ask(), ADMIN, 201, "r")
    audit.follow([follower])
    (tmp_path / "no").mkdir()
    audit.close()  # tries once more
    assert (tmp_path / "no" / "copy.log").read_bytes() == (tmp_path / "audit.log").read_bytes()


@pytest.mark.parametrize("url", ["http://collector.example/", "ftp://x/"])
def test_a_webhook_without_tls_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        WebhookSink(url)


def test_what_people_s_own_containers_say_for_the_log_is_not_believed() -> None:
    told = [(b"x-aerekos-audit-action", b"kms:Decrypt"), (b"content-type", b"text/plain")]
    theirs, ours = Notes(), Notes(service_tells=True)
    assert taken(told, theirs) == taken(told, ours) == [told[1]]
    assert (theirs.action, ours.action) == ("", "kms:Decrypt")
