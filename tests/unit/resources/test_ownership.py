"""Server-side apply against a model: a flat table of places, each with a value and those who own it.

The model knows nothing of paths, trees or schemas; it is what the Kubernetes documentation says in words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.resources.managed_fields.applying import apply, merged_config, merged_order
from controller.resources.managed_fields.fields import differences, fields_of, from_fields_v1, shown, to_fields_v1
from controller.resources.managed_fields.managers import (
    Manager,
    Managers,
    are_its_own,
    read_managers,
    updated,
    write_managers,
)
from crds.schema import Schema, list_map, list_set

ITEMS = {"type": "array", "items": {"properties": {"name": {}, "v": {}, "w": {}}}, **list_map("name")}
SPEC = {"a": {}, "b": {}, "m": {"additionalProperties": {}}, "items": ITEMS, "whole": {}, "tags": list_set()}
SCHEMA: Schema = {"properties": {"spec": {"properties": SPEC}}}
Place = tuple[str, ...]
Flat = dict[Place, Any]
NOW = "2026-01-01T00:00:00Z"


@dataclass
class Model:
    """What should be there, and whose it is."""

    values: Flat = field(default_factory=dict)
    owners: dict[Place, set[str]] = field(default_factory=dict)

    def conflicts(self, who: str, wanted: Flat) -> set[tuple[str, Place]]:
        return {
            (owner, place)
            for place, value in wanted.items()
            if place in self.values and self.values[place] != value
            for owner in self.owners[place] - {who}
        }

    def apply(self, who: str, wanted: Flat) -> None:
        for place, value in wanted.items():
            if self.values.get(place, object()) == value:
                self.owners[place].add(who)
            else:
                self.values[place], self.owners[place] = value, {who}
        for place in sorted(self.values, key=len, reverse=True):
            if place not in wanted and who in self.owners[place]:
                self.owners[place].discard(who)
                if not self.owners[place] and not self._holds_up(place):
                    self._drop(place)

    def update(self, who: str, new: Flat) -> None:
        for place in list(self.values):
            if place not in new:
                del self.values[place], self.owners[place]
        for place, value in new.items():
            if self.values.get(place, object()) != value:
                self.values[place], self.owners[place] = value, {who}

    def _holds_up(self, place: Place) -> bool:
        """An item, and its key, stay while somebody owns something of the item."""
        if place[0] != "items" or place[2:] not in ((), ("name",)):
            return False
        return any(self.owners[other] for other in self.values if other[:2] == place[:2] and other[2:] != ("name",))

    def _drop(self, place: Place) -> None:
        for other in list(self.values):
            if other[: len(place)] == place:
                del self.values[other], self.owners[other]


def flat(document: dict[str, Any]) -> Flat:
    spec, found = document["spec"], {}
    for name in ("a", "b", "whole"):
        if name in spec:
            found[(name,)] = spec[name]
    found |= {("m", name): value for name, value in spec.get("m", {}).items()}
    found |= {("tags", tag): True for tag in spec.get("tags", ())}
    for item in spec.get("items", ()):
        found[("items", item["name"])] = True
        found |= {("items", item["name"], name): value for name, value in item.items()}
    return found


def whose(managers: Managers, document: dict[str, Any]) -> dict[Place, set[str]]:
    names: dict[str, Place] = {}
    for place in flat(document):
        sort = place[0]
        if sort == "items":
            rest = "".join(f".{part}" for part in place[2:])
            names[f'.spec.items[name="{place[1]}"]{rest}'] = place
        elif sort == "tags":
            names[f'.spec.tags[="{place[1]}"]'] = place
        else:
            names[".spec." + ".".join(place)] = place
    found: dict[Place, set[str]] = {place: set() for place in names.values()}
    for manager, entry in managers.items():
        for path in entry.fields:
            if shown(path) in names:
                found[names[shown(path)]].add(f"{manager.name}/{manager.operation}")
    return found


small = st.integers(0, 1)
item = st.fixed_dictionaries({"name": st.sampled_from(["A", "B"])}, optional={"v": small, "w": small})
spec = st.fixed_dictionaries(
    {},
    optional={
        "a": small,
        "b": small,
        "m": st.dictionaries(st.sampled_from(["x", "y"]), small, min_size=1),
        "items": st.lists(item, min_size=1, max_size=2, unique_by=lambda each: each["name"]),
        "whole": st.lists(small, max_size=2),
        "tags": st.lists(st.sampled_from(["p", "q"]), min_size=1, unique=True),
    },
)
step = st.tuples(st.sampled_from(["one", "two", "three"]), st.sampled_from(["apply", "force", "update"]), spec)


@given(st.lists(step, max_size=8))
def test_applying_agrees_with_the_model(steps: list[tuple[str, str, dict[str, Any]]]) -> None:
    model, live, managers = Model(), {"spec": {}}, {}
    for name, how, wanted_spec in steps:
        wanted = {"spec": wanted_spec}
        if how == "update":
            changed, removed = differences(live, wanted, SCHEMA)
            me = Manager(name, "Update", "v1")
            after = updated(managers, me, changed, removed, now=NOW)
            if not removed:  # then asking is enough to know whether the record changes
                assert are_its_own(managers, me, changed) == (after == managers)
            managers = after
            model.update(f"{name}/Update", flat(wanted))
            live = wanted
        else:
            me = Manager(name, "Apply", "v1")
            merged, after, conflicts = apply(live, wanted, SCHEMA, managers, me, now=NOW)
            told = sum(len(fields) for fields in conflicts.values())
            assert told == len(model.conflicts(f"{name}/Apply", flat(wanted)))
            if told and how != "force":
                continue
            model.apply(f"{name}/Apply", flat(wanted))
            live, managers = {"spec": {}, **merged}, after
        assert flat(live) == model.values
        assert whose(managers, live) == model.owners
        assert read_managers(write_managers(managers)).keys() == managers.keys()


@given(spec)
def test_fields_survive_their_written_form(wanted: dict[str, Any]) -> None:
    fields = fields_of({"spec": wanted}, SCHEMA)
    assert from_fields_v1(to_fields_v1(fields)) == fields


@given(spec, spec)
def test_differences_name_exactly_what_differs(old: dict[str, Any], new: dict[str, Any]) -> None:
    changed, removed = differences({"spec": old}, {"spec": new}, SCHEMA)
    before, after = fields_of({"spec": old}, SCHEMA), fields_of({"spec": new}, SCHEMA)
    assert removed == before - after
    assert after - before <= changed <= after
    assert (not changed and not removed) == (flat({"spec": old}) == flat({"spec": new}))


def test_the_written_form_is_kubernetes_own() -> None:
    document = {"spec": {"a": 1, "items": [{"name": "A", "v": 1}], "tags": ["p"], "whole": [1]}}
    assert to_fields_v1(fields_of(document, SCHEMA)) == {
        "f:spec": {
            "f:a": {},
            "f:items": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:v": {}}},
            "f:tags": {'v:"p"': {}},
            "f:whole": {},
        }
    }


def test_programs_that_come_and_go_do_not_grow_a_resource_for_ever() -> None:
    managers: Managers = {}
    for number in range(40):
        path = ("f:spec", f"f:{number}")
        me = Manager(f"program-{number}", "Update", "v1")
        managers = updated(managers, me, frozenset({path}), frozenset(), now=f"2026-01-01T00:00:{number:02}Z")
    assert len(managers) == 10
    assert len({path for entry in managers.values() for path in entry.fields}) == 40


NAMES = st.lists(st.sampled_from("abcdef"), unique=True, max_size=6)


@given(NAMES, NAMES)
def test_lists_keep_the_order_in_which_they_were_applied(live: list[str], applied: list[str]) -> None:
    merged = merged_order(live, applied)
    assert sorted(merged) == sorted({*live, *applied})
    assert [each for each in merged if each in applied] == applied
    alone = [each for each in live if each not in applied]
    assert [each for each in merged if each in alone] == alone
    if applied == [each for each in live if each in applied]:
        assert merged == live  # nothing was moved, so nothing moves


def test_items_of_somebody_else_stay_behind_what_they_stood_behind() -> None:
    assert merged_order(["a", "x", "b"], ["a", "n", "b"]) == ["a", "x", "n", "b"]
    assert merged_order(["a", "x", "b"], ["b", "a"]) == ["x", "b", "a"]


def test_keyed_lists_and_sets_are_applied_in_order() -> None:
    old = {"spec": {"items": [{"name": "a", "v": 1}, {"name": "b"}], "tags": ["x", "y"]}}
    new = {"spec": {"items": [{"name": "b"}, {"name": "a", "w": 2}], "tags": ["y", "x"]}}
    assert merged_config(old, new, SCHEMA) == {
        "spec": {"items": [{"name": "b"}, {"name": "a", "v": 1, "w": 2}], "tags": ["y", "x"]}
    }
