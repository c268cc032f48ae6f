"""A newer version wrote the store, and was rolled back: nothing is lost, nobody stops."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.client.local import LocalResources
from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.reconcile.informer import Informer
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.resources.unknown_fields import inherited, lost, restored
from controller.store.records import Change
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.errors import BadRequest
from crds.kind import KubeObject
from crds.kinds.namespace import NAMESPACE
from crds.kinds.service import SERVICE

pytestmark = pytest.mark.anyio
HOW = WriteOptions(by="test", validation="Strict")
NEWER = {"rolloutPlan": {"steps": [1, 2]}}


@pytest.fixture
async def registry(tmp_path: Path) -> Any:
    threads = Threads(2)
    store = await open_store(f"sqlite:///{tmp_path}/records.db", threads=threads, clock=SystemClock())
    made = Registry(store, Catalog(CORE_KINDS), SystemClock())
    await made.create(NAMESPACE, "", {"metadata": {"name": "default"}}, HOW)
    yield made
    await store.close()


async def written_by_a_newer_version(registry: Registry, name: str, **changes: Any) -> dict[str, Any]:
    """A Service as it is in the store, with what only another version knows."""
    body = {"metadata": {"name": name}, "spec": {"image": "nginx", "ports": [{"port": 80}, {"port": 81}]}}
    record = (await registry.create(SERVICE, "default", body, HOW)).record
    assert record is not None
    stored = orjson.loads(record.body)
    stored["spec"] |= changes or NEWER
    stored["spec"]["ports"][1]["newField"] = "kept"
    (record,) = await registry.store.write([Change(record.key, stored, record.revision)], by="newer")
    return record.object


async def test_unknown_fields_live_through_writes_of_every_sort(registry: Registry) -> None:
    await written_by_a_newer_version(registry, "web")
    key, resources = SERVICE.key("web", "default"), LocalResources(registry, "test")

    def spec() -> dict[str, Any]:
        found: dict[str, Any] = registry.get(SERVICE, key).object["spec"]
        return found

    await registry.merge(SERVICE, key, {"spec": {"replicas": 3}}, HOW)
    await registry.merge(SERVICE, key, {"status": {"readyReplicas": 1}}, HOW, subresource="status")
    typed = await resources.get(SERVICE, "web", "default")
    typed.spec.replicas = 4
    await resources.replace(SERVICE, typed)
    config = {
        "apiVersion": SERVICE.api_version,
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"replicas": 5},
    }
    await registry.apply(SERVICE, key, config, HOW._replace(manager="m"), force=True)
    assert spec()["replicas"] == 5 and spec()["rolloutPlan"] == NEWER["rolloutPlan"]
    assert spec()["ports"][1] == {"port": 81, "newField": "kept"} | spec()["ports"][1]


async def test_what_was_not_stored_is_refused_as_ever(registry: Registry) -> None:
    await written_by_a_newer_version(registry, "web")
    key = SERVICE.key("web", "default")
    for patch in ({"rolloutPlan": {"steps": [1, 3]}}, {"other": 1}, {"rolloutPlan": {"more": 1}}):
        with pytest.raises(BadRequest, match="unknown field"):
            await registry.merge(SERVICE, key, {"spec": patch}, HOW)
    written = await registry.merge(SERVICE, key, {"spec": {"rolloutPlan": None, "replicas": 2}}, HOW)
    assert "rolloutPlan" not in written.body["spec"], "whoever names it may take it away"


async def test_an_unreadable_record_is_set_aside_and_the_others_go_on(registry: Registry) -> None:
    told: list[tuple[str | None, str, str]] = []
    registry.quarantine.report_to(lambda about, reason, message: told.append((about.metadata.name, reason, message)))
    await written_by_a_newer_version(registry, "web", replicas={"min": 1})
    await written_by_a_newer_version(registry, "db")
    resources = LocalResources(registry, "test")
    cache: Informer[Any] = Informer(SERVICE, resources, random.Random(0))
    changes: list[tuple[str, str]] = []

    def listen(change: str, item: KubeObject, before: KubeObject | None) -> None:
        changes.append((change, item.metadata.name))

    cache.listen(listen)
    async with anyio.create_task_group() as group:
        group.start_soon(cache.run)
        with anyio.fail_after(10):
            await cache.synced.wait()
            assert [item.metadata.name for item in cache.all()] == ["db"]
            await registry.merge(SERVICE, SERVICE.key("db", "default"), {"spec": {"replicas": 2}}, HOW)
            record = registry.get(SERVICE, SERVICE.key("web", "default"))
            mended = {**record.object, "spec": {**record.object["spec"], "replicas": 1}}
            await registry.store.write([Change(record.key, mended, record.revision)], by="mended")
            while ("ADDED", "web") not in changes:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert ("MODIFIED", "db") in changes
    assert [(name, reason) for name, reason, _ in told] == [("web", "UnreadableRecord")]
    assert "replicas" in told[0][2] and len(registry.quarantine) == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)
PLACES = st.lists(
    st.lists(st.text("ab", max_size=2) | st.integers(0, 3), min_size=1, max_size=4).map(tuple), max_size=4
)


@given(JSON, JSON, PLACES)
@example([False], [False], [("a", 0)])
def test_what_is_put_back_stands_where_it_stood(stored: Any, written: Any, places: list[Any]) -> None:
    stored, written = {"a": stored}, {"a": written}
    missing = lost(stored, written, places)
    whole = restored(written, missing)
    still = lost(stored, whole, places)
    assert len(still) <= len(missing) and not [each for each in still if each in inherited(whole, stored, places)]
    assert restored(whole, inherited(whole, stored, places)) == whole
