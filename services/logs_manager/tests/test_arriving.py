"""Lines of instances arrive by themselves, once each, over restarts; who may not see them does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from services.logs_manager.kinds import LOG_GROUP
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
async def test_a_tenant_sees_and_writes_what_is_theirs() -> None:
    async with logs(instances=written("secret")) as m:
        eve = m.service.conductor.add(User("eve", (), "team-e"))
        m.service.conductor.judge = only_in("team-e")
        assert await m.push({"app": "mine", "namespace": "shop"}, "of eve", user=eve) == 204
        await m.advance(5)
        assert await m.lines('{namespace=~".+"}', eve) == ["of eve"]
        assert await m.lines('{namespace="shop"}', eve) == []
        assert await m.ask("label/namespace/values", eve) == ["team-e"]
        assert await m.ask("series", eve) == [
            {"app": "mine", "exported_namespace": "shop", "namespace": "team-e", "log_group": "loki"}
        ]
        m.service.conductor.judge = lambda user, wanted: False
        await m.advance(2)
        async with m.service.client(eve) as client:
            for path in ("query_range", "labels", "push"):
                method = client.post if path == "push" else client.get
                answer: httpx.Response = await method(f"/loki/api/v1/{path}")
                assert answer.status_code == 403, path


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
