"""What users of Kubernetes stumbled over, each in its least form: values that must come back as they were sent,
appliers that must not fight, definitions that come and go under those who use them.
"""

from __future__ import annotations

import copy

import anyio
import pytest

from controller.reconcilers.definition import DefinitionReconciler
from tests.unit.kube.conftest import Reply, Wire
from tests.unit.kube.test_definition_rules import with_field
from tests.unit.kube.test_definitions import CRDS, DEFINITION, LAMP, LAMPS

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
DESK, CRD = f"{LAMPS}/desk", f"{CRDS}/lamps.light.example"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
OPEN = {"x-kubernetes-preserve-unknown-fields": True}


async def apply(wire: Wire, manager: str, spec: str, path: str = DESK) -> Reply:
    """Server-side, with a spec that is sent as it stands there."""
    body = f'{{"apiVersion":"light.example/v1","kind":"Lamp","metadata":{{"name":"desk"}},"spec":{spec}}}'
    return await wire.ask("PATCH", f"{path}?fieldManager={manager}", body.encode(), content_type=APPLY)


async def test_one_and_one_point_nought_are_the_same_number_to_appliers(wire: Wire) -> None:
    await wire.ok("POST", CRDS, with_field({"type": "number"}))
    assert (await apply(wire, "one", '{"watts":5,"x":1}')).code == 201
    shared = await apply(wire, "two", '{"x":1.0}')
    assert shared.code == 200, shared.json
    other = await apply(wire, "two", '{"x":1.5}')
    assert (other.code, other.json["details"]["causes"][0]["field"]) == (409, ".spec.x")


async def test_applying_empty_lists_and_maps_again_changes_nothing(wire: Wire) -> None:
    await wire.ok("POST", CRDS, with_field({"type": "object", **OPEN}))
    spec = '{"watts":5,"x":{"list":[],"map":{},"deep":{"list":[{}]}}}'
    made = await apply(wire, "one", spec)
    assert made.json["spec"]["x"] == {"list": [], "map": {}, "deep": {"list": [{}]}}
    for _ in range(2):
        again = await apply(wire, "one", spec)
        assert again.json["metadata"]["resourceVersion"] == made.json["metadata"]["resourceVersion"]


async def test_an_object_goes_with_the_last_who_applied_it(wire: Wire) -> None:
    """It is gone, and not left behind as a null that its own schema would refuse."""
    await wire.ok("POST", CRDS, with_field({"type": "object", "properties": {"a": {"type": "integer"}}}))
    await apply(wire, "one", '{"watts":5,"x":{"a":1}}')
    left = await apply(wire, "one", '{"watts":5}')
    assert (left.code, left.json["spec"]) == (200, {"watts": 5, "colour": "warm", "count": 1})


async def test_operators_that_take_off_their_finalizers_at_once_take_off_no_other(wire: Wire) -> None:
    """As operators do it: read, then a JSON patch that tests what was read, and again when somebody was quicker."""
    names = [f"x.io/{number}" for number in range(6)]
    await wire.ok("POST", CRDS, DEFINITION)
    await wire.ok("POST", LAMPS, {**LAMP, "metadata": {"name": "desk", "finalizers": [*names, "x.io/stays"]}})
    refused = 0

    async def take_off(name: str) -> None:
        nonlocal refused
        while True:
            held = (await wire.ok("GET", DESK))["metadata"]["finalizers"]
            await anyio.lowlevel.checkpoint()
            at = held.index(name)
            path = f"/metadata/finalizers/{at}"
            patch = [{"op": "test", "path": path, "value": name}, {"op": "remove", "path": path}]
            reply = await wire.jsonpatch(DESK, patch)
            if reply.code == 200:
                return
            assert reply.code == 422, reply.json
            refused += 1

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(take_off, name)
    assert (await wire.ok("GET", DESK))["metadata"]["finalizers"] == ["x.io/stays"]
    assert refused, "nobody was in anybody's way: this test tried nothing"


async def test_whole_numbers_of_64_bits_are_kept_to_the_last_digit(wire: Wire) -> None:
    await wire.ok("POST", CRDS, with_field({"type": "integer", "format": "int64"}))
    await wire.ok("POST", LAMPS, LAMP)
    for number in (2**53 + 1, 2**63 - 1, -(2**63)):
        merged = await wire.ask("PATCH", DESK, {"spec": {"x": number}}, content_type=MERGE)
        added = await wire.jsonpatch(DESK, [{"op": "add", "path": "/spec/x", "value": number}])
        applied = await apply(wire, "one", f'{{"watts":5,"x":{number}}}')
        read = await wire.ask("GET", DESK)
        assert [each.json["spec"]["x"] for each in (merged, added, applied, read)] == [number] * 4


async def test_amounts_times_and_texts_come_back_as_they_were_sent(wire: Wire) -> None:
    await wire.ok("POST", CRDS, with_field({"type": "object", **OPEN}))
    amounts = {"cpu": "1000m", "memory": "0.5Gi", "port": "080", "share": "1e3", "share2": 1e-7}
    kept = await wire.ok("POST", LAMPS, {**LAMP, "spec": {"watts": 5, "x": amounts}})
    assert kept["spec"]["x"] == amounts
    texts = {"a": "日本 🎉 ü\u2028\x7f", "b": "e\u0301", "c": " \n\t ", "d": "{{ .Values.x }}"}
    assert (await wire.ok("POST", MAPS, {"metadata": {"name": "m"}, "data": texts}))["data"] == texts
    assert (await wire.ok("GET", f"{MAPS}/m"))["data"] == texts
    moment = "2026-01-01T00:00:00.123456Z"
    lease = await wire.ok("POST", LEASES, {"metadata": {"name": "l"}, "spec": {"renewTime": moment}})
    assert lease["spec"]["renewTime"] == moment


@pytest.mark.parametrize(
    ("name", "code"),
    [("a.b.c", 201), ("1.2", 201), ("n" * 253, 201), ("n" * 254, 422), ("a..b", 422), (".a", 422), ("A", 422)],
)
async def test_names_have_dots_and_up_to_253_characters(wire: Wire, name: str, code: int) -> None:
    made = await wire.ask("POST", MAPS, {"metadata": {"name": name}})
    assert made.code == code, made.json
    if code == 201:
        assert (await wire.ok("GET", f"{MAPS}/{name}"))["metadata"]["name"] == name


async def test_metadata_has_no_fields_of_anybody_s_own(wire: Wire) -> None:
    body = {"metadata": {"name": "m", "colour": "red"}}
    dropped = await wire.ask("POST", MAPS, body)
    assert (dropped.code, "colour" in dropped.json["metadata"]) == (201, False)
    assert "metadata.colour" in dropped.headers["warning"]
    strict = await wire.ask("POST", f"{MAPS}?fieldValidation=Strict", {"metadata": {"name": "n", "colour": "red"}})
    assert strict.code == 400 and "metadata.colour" in strict.json["message"]


async def test_fields_of_ones_own_kind_select_what_comes_and_goes(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    await wire.ok("POST", LAMPS, LAMP)
    start = wire.registry.store.revision
    query = f"?watch=1&fieldSelector=spec.colour%3Dred&resourceVersion={start}"
    async with wire.watch(LAMPS + query) as watched:
        for colour in ("red", "blue"):
            await wire.merge(DESK, {"spec": {"colour": colour}})
        assert await watched.told(2) == [("ADDED", "desk"), ("DELETED", "desk")]
    unknown = await wire.ask("GET", f"{LAMPS}?fieldSelector=spec.watts%3D5")
    assert unknown.code == 400 and "spec.watts" in unknown.json["message"]


async def test_what_is_left_of_a_kind_that_was_torn_away_comes_back_with_it(wire: Wire) -> None:
    """Whoever takes the finalizer off a definition leaves its resources behind; they are found again."""
    definition = copy.deepcopy(DEFINITION)
    assert DefinitionReconciler.finalizer
    definition["metadata"]["finalizers"] = [DefinitionReconciler.finalizer]
    await wire.ok("POST", CRDS, definition)
    await wire.ok("POST", LAMPS, LAMP)
    await wire.ok("DELETE", CRD)
    await wire.merge(CRD, {"metadata": {"finalizers": None}})
    assert (await wire.ask("GET", LAMPS)).code == 404
    await wire.ok("POST", CRDS, DEFINITION)
    assert [each["spec"]["watts"] for each in (await wire.ok("GET", LAMPS))["items"]] == [5]


async def test_a_definition_is_changed_while_many_write_and_nobody_is_refused(wire: Wire) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    done, codes = anyio.Event(), []

    async def change() -> None:
        for number in range(20):
            name = f"added{number}"
            spec = copy.deepcopy(DEFINITION["spec"])
            fields = spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            fields[name] = {"type": "string"}
            await wire.merge(CRD, {"spec": spec})
            await anyio.sleep(0.01)
        done.set()

    async def write(who: int) -> None:
        number = 0
        while not done.is_set():
            number += 1
            made = await wire.ask("POST", LAMPS, {**LAMP, "metadata": {"name": f"w{who}-{number}"}})
            codes.append(made.code)
            await anyio.sleep(0.003)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(change)
        for who in range(3):
            tasks.start_soon(write, who)
    assert len(codes) > 60 and set(codes) == {201}
    assert len((await wire.ok("GET", LAMPS))["items"]) == len(codes)


async def test_a_watch_lives_through_a_change_of_its_definition(wire: Wire, however_told: None) -> None:
    await wire.ok("POST", CRDS, DEFINITION)
    start = wire.registry.store.revision
    async with wire.watch(f"{LAMPS}?watch=1&resourceVersion={start}") as watched:
        await wire.ok("POST", LAMPS, LAMP)
        spec = copy.deepcopy(DEFINITION["spec"])
        spec["names"]["shortNames"] = ["lp"]
        await wire.merge(CRD, {"spec": spec})
        await wire.merge(DESK, {"spec": {"watts": 6}})
        await wire.ok("DELETE", DESK)
        assert await watched.told(3) == [("ADDED", "desk"), ("MODIFIED", "desk"), ("DELETED", "desk")]
