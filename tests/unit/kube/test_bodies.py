"""Bodies: YAML means what its JSON would, and nothing anybody can send costs more than a refusal."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.kube.parsing import YAML_LIMIT, parse_yaml
from controller.resources.depth_limit import MOST_LEVELS
from crds.errors import ApiError
from tests.unit.kube.conftest import Wire
from tests.unit.kube.test_definitions import CRDS, DEFINITION, LAMP, LAMPS

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"
YAML, MERGE = "application/yaml", "application/merge-patch+json"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@given(JSON)
def test_yaml_means_what_its_json_would(value: Any) -> None:
    assert parse_yaml(yaml.safe_dump(value).encode()) == value


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("data: {day: 2020-01-01}", {"day": "2020-01-01"}),
        ("data: {1: one}", {"1": "one"}),
        ("data: {a: &x same, b: *x}", {"a": "same", "b": "same"}),
    ],
)
async def test_yaml_that_has_no_word_of_its_own_for_it(wire: Wire, text: str, data: dict[str, str]) -> None:
    made = await wire.ok("POST", MAPS, f"metadata: {{name: y}}\n{text}\n".encode(), content_type=YAML)
    assert made["data"] == data


BOMB = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGED = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{','.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "&a {x: *a}",
        "? [1, 2]\n: x",
        "a: !!binary aGk=",
        "a: !!python/object:os.system {}",
        "{a: " * 50_000,
        "- " * 50_000,
        "\x00",
        BOMB,
        MERGED,
    ],
)
def test_yaml_that_json_cannot_say_or_that_is_too_much(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ApiError) as refused:
        parse_yaml(text.encode())
    assert refused.value.code == 400
    assert time.process_time() - began < 2


async def test_much_is_sent_as_json(wire: Wire) -> None:
    text = b"metadata: {name: y}\ndata: {a: " + b"x" * YAML_LIMIT + b"}"
    assert (await wire.ask("POST", MAPS, text, content_type=YAML)).code == 413
    assert (await wire.ask("POST", MAPS, {"metadata": {"name": "y"}, "data": {"a": "x" * YAML_LIMIT}})).code == 201


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 500, 1000, 100_000])
async def test_what_is_nested_too_deep_is_refused_wherever_it_comes(wire: Wire, levels: int) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    await wire.ok("POST", LAMPS, LAMP)
    status = b'{"status":' + nested(levels) + b"}"
    assert (await wire.ask("PATCH", f"{LAMPS}/desk/status", status, content_type=MERGE)).code == 400
    added = b'[{"op":"add","path":"/status","value":' + nested(levels) + b"}]"
    assert (await wire.jsonpatch(f"{LAMPS}/desk/status", added)).code == 400
    assert (await wire.ask("POST", MAPS, b'{"metadata":{"name":"m"},"data":' + nested(levels) + b"}")).code == 400
    for path in (LAMPS, "/openapi/v3"):
        assert (await wire.ask("GET", path)).code == 200


async def test_what_is_nested_deep_enough_is_kept_and_can_be_owned(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    body: dict[str, Any] = {"x": 1}
    for _ in range(MOST_LEVELS - 10):
        body = {"a": body}
    await wire.ok("POST", f"{LAMPS}?fieldManager=one", LAMP)
    kept = await wire.merge(f"{LAMPS}/desk/status?fieldManager=two", {"status": body})
    again = await wire.ask("PUT", f"{LAMPS}/desk", kept)
    assert (again.code, again.json["status"]) == (200, body)
