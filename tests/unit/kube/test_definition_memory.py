"""Kinds that come and go leave nothing behind but a bounded past: no schema, no compiled pattern, no document."""

from __future__ import annotations

import copy
import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from controller.store.memory_index import RECENT, MemoryIndex
from tests.unit.kube.conftest import Wire
from tests.unit.kube.test_definitions import CRDS, DEFINITION

pytestmark = pytest.mark.anyio
MANY, ROUNDS = 12, 4
MOST_GROWTH = 256 << 10
"""Bytes from the second round to the last. One definition alone takes more than that."""


@pytest.fixture(autouse=True)
def short_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a mebibyte of it, so that a round is more than it holds."""
    monkeypatch.setattr(MemoryIndex.__init__, "__defaults__", (RECENT, 512 << 10))


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def large(number: int) -> dict[str, Any]:
    """The definition of a kind of its own, of 80 kB."""
    made = copy.deepcopy(DEFINITION)
    made["metadata"]["name"] = f"lamps{number}.light.example"
    made["spec"]["names"] = {"plural": f"lamps{number}", "kind": f"Lamp{number}"}
    schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = schema["properties"]["spec"]["properties"]
    for each in range(200):
        inner = {"a": {"type": "string", "pattern": f"^a{number}b{each}+$"}, "b": {"type": "integer"}}
        fields[f"field{each}"] = {"type": "object", "description": "x" * 200, "properties": inner}
    return made


async def a_round(wire: Wire) -> int:
    """Made, used, described and gone; what is traced after that."""
    for number in range(MANY):
        await wire.ok("POST", CRDS, large(number))
        lamps = f"/apis/light.example/v1/namespaces/default/lamps{number}"
        spec = {"watts": 1, "field7": {"a": f"a{number}b7"}}
        await wire.ok("POST", lamps, {"metadata": {"name": "desk"}, "spec": spec})
        await wire.ok("DELETE", f"{lamps}/desk")
    await wire.ok("GET", "/openapi/v3/apis/light.example/v1")
    for number in range(MANY):
        await wire.ok("DELETE", f"{CRDS}/lamps{number}.light.example")
    await wire.ok("GET", "/openapi/v2")
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def test_rounds_of_kinds_that_come_and_go_do_not_fill_the_memory(wire: Wire, traced: None) -> None:
    seen = [await a_round(wire) for _ in range(ROUNDS)]
    assert seen[-1] - seen[1] < MOST_GROWTH, [f"{each >> 10} KiB" for each in seen]
