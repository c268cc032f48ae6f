"""Bodies of older formats are brought up to date as they are read, whatever versions of the code came and went."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import anyio
import pytest
from contracts.store.things import Reopen
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.kit.clock import SystemClock
from controller.kit.threads import Inline
from controller.resources.quarantine import Quarantine
from controller.store.records import Change, Store
from controller.store.sealing import Sealing
from controller.store.sql import open_store
from crds.formats import Upgrade
from crds.kind import Kind, KubeObject
from crds.meta import ObjectKey

KEY, OTHER = ObjectKey("test.dev", "boxes", "", "a"), ObjectKey("test.dev", "boxes", "", "b")
Body = dict[str, Any]


def with_width(body: Body) -> Body:
    return {**body, "spec": {**body["spec"], "width": body["spec"]["size"]}}


def with_shape(body: Body) -> Body:
    return {**body, "spec": {**body["spec"], "shape": {"width": body["spec"]["width"]}}}


# What each version of the code calls the same thing. It writes the older words too, for the code before it.
STEPS: tuple[Upgrade, ...] = (with_width, with_shape)
WORDS: dict[int, Any] = {
    1: lambda spec: spec["size"],
    2: lambda spec: spec["width"],
    3: lambda spec: spec["shape"]["width"],
}


def upgrades_of(code: int) -> dict[tuple[str, str], tuple[Upgrade, ...]]:
    return {KEY[:2]: STEPS[: code - 1]}


def written_by(code: int, body: Body, value: int) -> Body:
    """As that version changes it: whatever it does not know stays where it is."""
    new = {**body, "spec": {**body.get("spec", {}), "size": value}}
    for step in STEPS[: code - 1]:
        new = step(new)
    return new


def start(store: Store) -> Body:
    found = store.get(KEY)
    return found.object if found else {"metadata": {"name": "a"}}


@pytest.mark.anyio
async def test_an_older_body_is_upgraded_wherever_it_is_read(opened: Reopen) -> None:
    old = await opened(upgrades=upgrades_of(1))
    await old.write([Change(KEY, written_by(1, start(old), 4), 0)], by="me")
    await old.write([Change(KEY, written_by(1, start(old), 5), 1)], by="me")
    await old.close()
    new = await opened(upgrades=upgrades_of(3))
    head, past = new.get(KEY), await new.get_at(KEY, 1)
    assert head is not None and head.object["spec"] == {"size": 5, "width": 5, "shape": {"width": 5}}
    assert past is not None and past.object["spec"]["shape"] == {"width": 4}
    assert [each.object["spec"]["width"] for each in await new.history(KEY)] == [4, 5]
    assert [each.object["spec"]["width"] for each in (await new.list_at(*KEY[:2], None, 1)).records] == [4]
    with anyio.fail_after(30):
        async with new.follow("", "*", after=0) as follower:
            batch = await anext(aiter(follower))
    assert [each.record.object["spec"]["width"] for each in batch] == [4, 5]
    assert batch[1].before is not None and batch[1].before.object["spec"]["width"] == 4


@pytest.mark.anyio
async def test_a_newer_body_is_handed_out_as_it_is(opened: Reopen) -> None:
    new = await opened(upgrades=upgrades_of(3))
    await new.write([Change(KEY, written_by(3, start(new), 4), 0)], by="me")
    await new.close()
    old = await opened(upgrades=upgrades_of(2))
    found = old.get(KEY)
    assert found is not None and found.object["spec"] == {"size": 4, "width": 4, "shape": {"width": 4}}


@pytest.mark.anyio
async def test_one_that_cannot_be_upgraded_is_set_aside_as_it_is(opened: Reopen, capsys: Any) -> None:
    kind: Kind[KubeObject] = Kind("Box", "boxes", KubeObject, group="test.dev", namespaced=False)
    old = await opened()
    odd = {"metadata": {"name": "a"}, "spec": {"colour": "red"}}
    await old.write([Change(KEY, odd, 0), Change(OTHER, written_by(1, {"metadata": {}}, 2), 0)], by="me")
    await old.close()
    new, quarantine, told = await opened(upgrades=upgrades_of(2)), Quarantine(), list[str]()
    quarantine.report_to(lambda about, reason, message: told.append(f"{about.metadata.name}: {message}"))
    bad, good = new.get(KEY), new.get(OTHER)
    assert bad is not None and good is not None and bad.object["spec"] == {"colour": "red"}
    assert good.object["spec"]["width"] == 2
    assert quarantine.read(kind, bad) is None and len(quarantine) == 1
    assert told == [
        "a: this version cannot read what is stored, and leaves it alone: its format 1 cannot be upgraded: "
        "KeyError('size')"
    ]


@pytest.mark.anyio
async def test_sealed_bodies_are_upgraded_too(opened: Reopen, tmp_path: Path) -> None:
    sealing = Sealing(tmp_path / "key", {KEY[:2]})
    old = await opened(sealing=sealing)
    await old.write([Change(KEY, written_by(1, start(old), 4), 0)], by="me")
    await old.close()
    new = await opened(sealing=sealing, upgrades=upgrades_of(2))
    found = new.get(KEY)
    assert found is not None and found.object["spec"]["width"] == 4


Write = tuple[int, int]
"""By which version of the code, and the value."""


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9)), min_size=1, max_size=8))
def test_every_version_reads_what_any_version_wrote(writes: list[Write]) -> None:
    async def run(url: str) -> None:
        for code, value in writes:
            store = await open_store(url, threads=Inline(), clock=SystemClock(), upgrades=upgrades_of(code))
            await store.write([Change(KEY, written_by(code, start(store), value), store.revision)], by="me")
            await store.close()
        for code, word in WORDS.items():
            store = await open_store(url, threads=Inline(), clock=SystemClock(), upgrades=upgrades_of(code))
            assert [word(each.object["spec"]) for each in await store.history(KEY)] == [value for _, value in writes]
            assert word(start(store)["spec"]) == writes[-1][1]
            await store.close()

    with tempfile.TemporaryDirectory() as folder:
        anyio.run(run, f"sqlite:///{folder}/records.db")
