"""Lines of instances arrive by themselves, once each, over restarts; who may not see them does not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.logs_manager.kinds import LOG_GROUP
from services.logs_manager.store import streams, tables
from services.logs_manager.tests.in_memory import NS, Instances, Logs, logs
from services.sdk.testing import User
from services.sdk.testing.memory_resources import MemoryResources
from services.sdk.testing.virtual import LoopClock, virtual_time

WEB = "shop/web/web-0"


def only_in(namespace: str) -> Any:
    """A judge: others may what they ask in that namespace alone."""
    return lambda user, wanted: user != "eve" or wanted["namespace"] == namespace


def written(*lines: str) -> Instances:
    return Instances({WEB: [(None, each) for each in lines]})


@virtual_time
async def test_what_an_instance_writes_is_found_by_its_service() -> None:
    async with logs(instances=written("one", '{"level": "error", "n": 2}')) as m:
        m.instances.lines["shop/db/db-0"] = [(None, "of another")]
        await m.advance(5)
        assert await m.lines('{service="web", namespace="shop"}') == ["one", '{"level": "error", "n": 2}']
        assert await m.lines('{service="web"} | json | n > 1') == ['{"level": "error", "n": 2}']
        found = await m.service.resources.get(LOG_GROUP, group_of(m), "shop")
        assert found.spec.group_name == "/aerekos/shop/web"
        await m.advance(600)
        assert len(m.instances.asked) == 2  # who wrote nothing is not asked


def group_of(m: Logs) -> str:
    return next(name for _, space, name in m.service.resources.items if space == "shop" and "web" in name)


@virtual_time
async def test_each_line_comes_once_over_restarts(tmp_path: Path) -> None:
    kept, source = MemoryResources(LoopClock(), keepers=True), Instances(most=3)
    source.lines[WEB] = [(None, f"line {n}") for n in range(40)]
    async with logs(tmp_path, kept, source) as m:
        await m.advance(3)
    source.lines[WEB] += [(None, f"line {n}") for n in range(40, 50)]
    async with logs(tmp_path, kept, source) as m:
        await m.advance(5)
        found = await m.lines('{service="web"}', limit=1000)
        assert sorted(found, key=lambda each: int(each.split()[1])) == [f"line {n}" for n in range(50)]


@virtual_time
async def test_lines_that_were_lost_are_told_of_and_times_are_those_of_the_lines() -> None:
    async with logs(instances=written("one")) as m:
        await m.advance(3)
        m.instances.first_kept = 3
        at = m.now - 60 * NS
        m.instances.lines[WEB] += [
            (None, "lost"),
            (None, "lost"),
            (at, "kept"),
            (None, " a traceback"),
            (at * 2, "x"),
        ]
        await m.advance(5)
        found = await m.ask("query_range", query='{service="web"}', direction="forward", start=at, end=at + 10)
        values = [pair for stream in found["result"] for pair in stream["values"]]
        assert [line.partition(":")[0] for _, line in values] == ["logs-manager", "kept", " a traceback"]
        assert (await m.lines('{service="web"} |= "x"')) == ["x"]


@virtual_time
@pytest.mark.parametrize("at", [None, -62_135_596_800 * NS, -(1 << 63) - 1, 1 << 63, 253_402_300_799 * NS])
async def test_a_line_of_any_time_is_kept_and_holds_up_nobody(at: int | None) -> None:
    """Go's zero time, as so many write it, and what is beyond 64 bits."""
    line = '{"time": "0001-01-01T00:00:00Z", "msg": "x"}'
    async with logs(instances=written("before")) as m:
        m.instances.lines[WEB] += [(at, line), (None, "after")]
        m.instances.lines["shop/db/db-0"] = [(None, "of another")]
        await m.advance(5)
        assert await m.lines('{service="web"}', start=0) == ["before", line, "after"]
        m.instances.lines[WEB].append((None, "later"))
        m.instances.lines["shop/db/db-0"].append((None, "more of it"))
        await m.advance(3)
        assert (await m.lines('{service="web"}', start=0))[-1] == "later"
        assert await m.lines('{service="db"}') == ["of another", "more of it"]


@virtual_time
async def test_who_cannot_be_read_or_is_slow_holds_up_nobody_and_no_line_comes_twice() -> None:
    """Also where what one wrote cannot be kept, for whatever reason."""
    slow, broken, odd = "shop/slow/slow-0", "shop/bad/bad-0", "shop/odd/odd-0"
    async with logs(instances=written("one")) as m:
        m.instances.lines |= {slow: [(None, "late")], broken: [(None, "away")], odd: [("no time", "x")]}  # type: ignore[list-item]
        m.instances.seconds, m.instances.broken = {slow: 7.0}, {broken}
        for number in range(10):
            await m.advance(2)
            m.instances.lines[WEB].append((None, f"more {number}"))
        await m.advance(2)
        assert await m.lines('{service="web"}') == ["one", *(f"more {number}" for number in range(10))]
        assert await m.lines('{service="slow"}') == ["late"]
        async with m.service.probe() as client:
            assert "bad-0, and of 1 others cannot be read" in (await client.get("/ready")).text
        assert m.instances.asked.count(broken) == 3
        m.instances.broken.clear()
        await m.advance(12)
        assert await m.lines('{service="bad"}') == ["away"]


@virtual_time
async def test_a_tenant_sees_and_writes_what_is_theirs() -> None:
    async with logs(instances=written("secret")) as m:
        eve = m.service.conductor.add(User("eve", (), "team-e"))
        m.service.conductor.judge = only_in("team-e")
        mine = {"app": "mine", "namespace": "shop", "log_stream": "kept"}
        assert await m.push(mine, "of eve", user=eve) == 204
        await m.advance(5)
        assert await m.lines('{namespace=~".+"}', eve) == ["of eve"]
        assert await m.lines('{namespace="shop"}', eve) == []
        assert await m.ask("label/namespace/values", eve) == ["team-e"]
        assert await m.ask("series", eve) == [
            {
                "app": "mine",
                "exported_namespace": "shop",
                "exported_log_stream": "kept",
                "namespace": "team-e",
                "log_group": "loki",
            }
        ]
        m.service.conductor.judge = lambda user, wanted: False
        await m.advance(2)
        async with m.service.client(eve) as client:
            for path in ("query_range", "labels", "push"):
                method = client.post if path == "push" else client.get
                answer: httpx.Response = await method(f"/loki/api/v1/{path}")
                assert answer.status_code == 403, path


@virtual_time
async def test_what_is_refused_uses_up_nobody_s_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS_OF_NAMESPACE", 10)
    monkeypatch.setattr(streams, "OF_INSTANCES_OF_NAMESPACE", 3)
    async with logs() as m:
        for number in range(12):
            assert await m.push({"app": f"old {number}"}, "x", at=1) == 400
        async with m.service.client() as client:
            body = {"streams": [{"stream": {"a": str(n)}, "values": [[str(m.now), "x"]]} for n in range(8)]}
            assert (await client.post("/loki/api/v1/push", json=body)).status_code == 400
            assert await m.ask("series") == []
            del body["streams"][7:]
            assert (await client.post("/loki/api/v1/push", json=body)).status_code == 204
        assert await m.push({"app": "one more"}, "x") == 400
        m.instances.lines |= {f"default/web/web-{n}": [(None, "there")] for n in range(3)}
        await m.advance(3)
        assert await m.lines('{service="web"}') == ["there"] * 3


@virtual_time
async def test_a_group_s_end_is_the_end_of_its_lines(tmp_path: Path) -> None:
    async with logs(tmp_path) as m:
        await m.push({"app": "a"}, "one", "two")
        assert await m.lines('{app="a"}') == ["one", "two"]
        await m.service.resources.delete(LOG_GROUP, "loki", "default")
        await m.advance(5)
        assert await m.ask("series") == []
        assert await m.push({"app": "a"}, "three") == 204
        assert await m.lines('{app="a"}') == ["three"]


@virtual_time
async def test_how_far_an_instance_was_read_is_known_as_long_as_it_or_a_line_of_it_is_there(tmp_path: Path) -> None:
    async with logs(tmp_path, instances=written("one")) as m:
        m.instances.lines["shop/db/db-0"] = [(None, "of another")]
        await m.advance(3)
        del m.instances.lines[WEB]
        await m.advance(1_300)
        assert positions(tmp_path) == {WEB: "1", "shop/db/db-0": "1"}
        for name in [name for _, space, name in m.service.resources.items if space == "shop"]:
            await m.service.resources.delete(LOG_GROUP, name, "shop")
        await m.advance(1_300)
        assert positions(tmp_path) == {"shop/db/db-0": "1"}
        m.instances.lines[WEB] = [(None, "anew")]
        await m.advance(3)
        assert await m.lines('{namespace="shop"}') == ["anew"]


def positions(folder: Path) -> dict[str, str]:
    with closing(sqlite3.connect(folder / tables.FILE)) as db:
        return tables.all_positions(db)


@virtual_time
async def test_lines_are_kept_as_long_as_their_group_says() -> None:
    async with logs() as m:
        await m.push({"app": "a"}, "old", at=m.now - 2 * 86_400 * NS)
        await m.push({"app": "a"}, "new")
        start = m.now - 86_400 * 9 * NS
        assert await m.lines('{app="a"}', start=start) == ["old", "new"]
        await m.service.resources.patch(LOG_GROUP, "loki", {"spec": {"retentionDays": 1}}, "default")
        await m.advance(5)
        assert await m.lines('{app="a"}', start=start) == ["new"]
        await m.advance(605)
        async with m.service.client() as client:
            stats = (await client.get("/loki/api/v1/index/stats", params={"query": '{app="a"}'})).json()
        assert (stats["streams"], stats["entries"]) == (1, 1)
