"""The control loop as it is told to Prometheus and by `GET /health/loop`: one that runs on the real store."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from unit.api.components import ADMIN, HOW, House

from api.loop_health import LoopHealth, loop_health_routes
from api.metrics import Metrics
from api.rest import rest_app
from controller.client.local import LocalResources
from controller.reconcile.loop import Loop
from controller.reconcile.outcome import Permanent, done
from controller.reconcilers.namespace import NamespaceReconciler
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.namespace import NAMESPACE

pytestmark = pytest.mark.anyio


class Strict(NamespaceReconciler):
    """Refuses one name."""

    async def reconcile(self, resource: Any, world: Any) -> Any:
        if resource.metadata.name == "odd":
            raise Permanent("such a name")
        return done()


@asynccontextmanager
async def running(house: House) -> AsyncIterator[Loop]:
    resources = LocalResources(house.registry, "system:conductor")
    reconciler = Strict(house.registry.catalog)
    loop = Loop(resources, house.clock, [reconciler], random.Random(1), also_read=[CONFIG_MAP])
    async with anyio.create_task_group() as tasks:
        await tasks.start(loop.run)
        yield loop
        tasks.cancel_scope.cancel()


async def until_passes(loop: Loop, how: str, count: int) -> None:
    """Until so many passes ended so. Changes of the store wake the loop; nothing here waits for a time."""
    with anyio.fail_after(30):
        while next(iter(loop.controllers())).passes.results[how] < count:  # type: ignore[index]
            await anyio.lowlevel.checkpoint()


def values(text: str, name: str) -> dict[str, float]:
    """The samples of that name: labels, value."""
    samples = (line.rpartition(" ") for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return {labels.removeprefix(name): float(value) for labels, _, value in samples}


async def test_metrics_of_the_loop_begin_at_zero_and_count(house: House) -> None:
    async with running(house) as loop:
        metrics = Metrics(house.store, loop=loop, watches=house.watches)
        before = values(metrics.render().decode(), "aerekos_reconcile_total")
        for name in ("odd", "even"):
            await house.registry.create(NAMESPACE, "", {"metadata": {"name": name}}, HOW)
        await until_passes(loop, "permanent", 1)
        await until_passes(loop, "done", 2)
        text = metrics.render().decode()
    assert len(before) == 6
    assert before['{kind="namespaces",result="permanent"}'] == 0
    passes = values(text, "aerekos_reconcile_total")
    assert passes['{kind="namespaces",result="permanent"}'] == 1
    assert passes['{kind="namespaces",result="done"}'] >= 2  # `default`, and `even`
    assert values(text, "aerekos_reconcile_errors_total") == {'{kind="namespaces"}': 1}
    assert values(text, "aerekos_reconcile_time_seconds_count")['{kind="namespaces"}'] == sum(passes.values())
    for name in ("workqueue_depth", "workqueue_oldest_key_seconds", "workqueue_retries_total", "reconcile_active"):
        assert '{kind="namespaces"}' in values(text, f"aerekos_{name}")
    assert values(text, "aerekos_informer_resources") == {'{kind="configmaps"}': 0, '{kind="namespaces"}': 3}
    assert values(text, "aerekos_informer_disconnected_seconds") == {
        '{kind="configmaps"}': 0,
        '{kind="namespaces"}': 0,
    }


async def test_an_informer_lags_by_what_it_has_not_heard_of_its_own_kind(house: House) -> None:
    async with running(house) as loop:
        metrics = Metrics(house.store, loop=loop)
        await house.registry.create(CONFIG_MAP, "default", {"metadata": {"name": "news"}}, HOW)
        # The write is told, and nobody had a turn since to hear of it.
        behind = values(metrics.render().decode(), "aerekos_informer_lag_revisions")
        with anyio.fail_after(30):
            while len(loop.seen.of(CONFIG_MAP).keys()) < 1:
                await anyio.lowlevel.checkpoint()
        heard = values(metrics.render().decode(), "aerekos_informer_lag_revisions")
    assert set(behind) == {'{kind="configmaps"}', '{kind="namespaces"}'}
    assert heard['{kind="configmaps"}'] == 0
    # Changes of other kinds are none of its business.
    assert heard['{kind="namespaces"}'] == 0


async def test_commits_of_the_store_are_counted_with_what_they_shared(house: House) -> None:
    before = values(house.metrics.render().decode(), "aerekos_store_batch_changes_count")[""]

    async def create(name: str) -> None:
        await house.registry.create(CONFIG_MAP, "default", {"metadata": {"name": name}}, HOW)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(create, f"c{number}")
    text = house.metrics.render().decode()
    commits = values(text, "aerekos_store_batch_changes_count")[""] - before
    assert 1 <= commits < 20
    assert values(text, "aerekos_store_batch_changes_sum")[""] == house.store.revision
    assert values(text, "aerekos_store_commit_seconds_count")[""] == before + commits
    assert values(text, "aerekos_store_commit_seconds_sum")[""] > 0
    assert values(text, "aerekos_store_failed_commits_total") == {"": 0}


async def test_the_loop_is_told_as_one_document(house: House) -> None:
    await house.add_user("vic", "viewer")
    async with running(house) as loop:
        await house.registry.create(NAMESPACE, "", {"metadata": {"name": "odd"}}, HOW)
        await until_passes(loop, "permanent", 1)
        health = LoopHealth(loop, house.store, house.watches, house.clock, lambda: 3)
        app = rest_app([loop_health_routes(health, house.authenticator, house.authorizer)])
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="https://cloud.test") as client:
            told = (await client.get("/health/loop", headers=house.bearer(ADMIN))).json()
    assert told["kind"] == "LoopHealth"
    read, reconciled = told["kinds"]
    assert (read["name"], read["queue"], read["passes"]) == ("configmaps", None, None)
    assert read["informer"] == {"resources": 0, "lagRevisions": 0, "disconnectedSeconds": 0}
    assert reconciled["name"] == "namespaces"
    assert reconciled["passes"]["results"]["permanent"] == 1
    assert reconciled["passes"]["seconds"]["count"] == sum(reconciled["passes"]["results"].values())
    assert reconciled["passes"]["lastSecondsAgo"] == 0  # the clock stands still here
    assert reconciled["queue"] == {"depth": 0, "delayed": 0, "working": 0, "oldestSeconds": 0}
    assert told["store"]["revision"] == told["store"]["changes"] == house.store.revision
    assert told["store"]["commits"]["mean"] > 0
    assert told["watchers"] == {"now": 0, "byKind": {}, "slow": 0, "expired": 0}
    assert (told["unreadableRecords"], told["traces"]) == (3, None)
