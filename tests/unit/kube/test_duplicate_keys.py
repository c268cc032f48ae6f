"""A key that stands twice in one object is an error or a warning, as `fieldValidation` says, however it was sent."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from unit.kube.conftest import MAPS, SERVICES, Wire

from api.kube.parsing import parse_json, parse_yaml

pytestmark = pytest.mark.anyio
HEAD = b'"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}'
JSON_TWICE = b"{" + HEAD + b',"data":{"a":"1","a":"2"}}'
YAML_TWICE = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '1', \"a\": '2'}\n"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
WAYS = [
    ("POST", MAPS, "application/json", JSON_TWICE),
    ("POST", MAPS, "application/yaml", YAML_TWICE),
    ("PUT", f"{MAPS}/b", "application/json", JSON_TWICE.replace(b'"name":"a"', b'"name":"b"')),
    ("PATCH", f"{MAPS}/a", APPLY, JSON_TWICE),
    ("PATCH", f"{MAPS}/a", APPLY, YAML_TWICE),
    ("PATCH", f"{MAPS}/b", MERGE, b'{"data":{"a":"1","a":"2"}}'),
    ("PATCH", f"{MAPS}/b", "application/strategic-merge-patch+json", b'{"data":{"a":"1","a":"2"}}'),
]


@pytest.mark.parametrize(("method", "path", "content_type", "body"), WAYS)
async def test_strict_refuses_warn_warns_and_ignore_is_silent(
    wire: Wire, method: str, path: str, content_type: str, body: bytes
) -> None:
    there = await wire.ok("POST", MAPS, {"metadata": {"name": "b"}})
    if method == "PUT":
        body = body.replace(b'"name":"b"', b'"name":"b","resourceVersion":"%s"' % _version(there))
    asked = f"{path}?fieldManager=me&fieldValidation="
    refused = await wire.ask(method, asked + "Strict", body, content_type=content_type)
    assert refused.code == 400, refused.json
    assert refused.json["message"] == 'strict decoding error: duplicate field "data.a"'
    warned = await wire.ask(method, asked + "Warn&dryRun=All", body, content_type=content_type)
    assert warned.code < 300 and warned.headers["warning"] == '299 - "duplicate field \\"data.a\\""'
    silent = await wire.ask(method, asked + "Ignore", body, content_type=content_type)
    assert silent.json["data"] == {"a": "2"} and "warning" not in silent.headers


def _version(body: Any) -> bytes:
    return str(body["metadata"]["resourceVersion"]).encode()


async def test_json_patches_and_lists_are_looked_into(wire: Wire) -> None:
    twice = b'[{"op":"add","path":"/data","value":{"a":"1"},"op":"add"}]'
    await wire.ok("POST", MAPS, {"metadata": {"name": "b"}})
    asked = f"{MAPS}/b?fieldValidation=Strict"
    refused = await wire.ask("PATCH", asked, twice, content_type="application/json-patch+json")
    assert refused.json["message"] == 'strict decoding error: duplicate field "[0].op"'
    body = b'{"metadata":{"name":"s"},"spec":{"image":"i:1","env":[{"name":"A"},{"name":"B","value":"","name":"C"}]}}'
    listed = await wire.ask("POST", f"{SERVICES}?fieldValidation=Strict", body)
    assert listed.json["message"] == 'strict decoding error: duplicate field "spec.env[1].name"'


async def test_parts_and_views_warn_as_well(wire: Wire) -> None:
    await wire.ok("POST", SERVICES, {"metadata": {"name": "web"}, "spec": {"image": "i:1"}})
    twice = b'{"spec":{"replicas":1,"replicas":2}}'
    for path in (f"{SERVICES}/web/scale", "/apis/apps/v1/namespaces/default/deployments/web"):
        warned = await wire.ask("PATCH", path, twice, content_type=MERGE)
        assert (warned.code, warned.headers["warning"]) == (200, '299 - "duplicate field \\"spec.replicas\\""')


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(PLAIN, st.sampled_from([0, orjson.OPT_INDENT_2]))
def test_what_says_nothing_twice_is_not_accused(value: Any, form: int) -> None:
    found: list[str] = []
    parse_json(orjson.dumps(value, option=form), found)
    parse_yaml(yaml.safe_dump(value).encode(), found)
    assert found == []


@given(st.lists(st.sampled_from("abc"), max_size=6), st.sampled_from([",", " , "]))
def test_each_repeated_key_is_named_once_where_it_stands(keys: list[str], comma: str) -> None:
    inner = "{" + comma.join(f'"{each}": 1' for each in keys) + "}"
    expected = {f"x[0].{each}" for each in keys if keys.count(each) > 1}
    for read in (parse_json, parse_yaml):
        found: list[str] = []
        read(f'{{"x": [{inner}]}}'.encode(), found)
        assert set(found) == expected and len(found) == len(expected)


def test_a_long_list_of_faults_is_cut() -> None:
    found: list[str] = []
    parse_json(b"[" + b",".join(b'{"a":1,"a":2}' for _ in range(1000)) + b"]", found)
    assert len(found) == 20
