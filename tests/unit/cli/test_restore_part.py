"""One namespace from a backup into a cloud that runs: what is asked of the cloud for it, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from cli.lifecycle.restore_part import Restoring
from cli.resources.kinds import discover
from controller.store.records import Record
from crds.managed import ManagedService
from crds.meta import ObjectKey
from services.key_manager.manifest import MANIFEST as KEYS
from tests.unit.cli.conftest import Cloud, status

OURS, ROOM = "aerekos.cloud", "/apis/aerekos.cloud/v1/namespaces/team"
SERVICES: tuple[ManagedService, ...] = (KEYS,)


def record(plural: str, kind: str, name: str, spec: dict[str, Any], **meta: Any) -> Record:
    """As a backup has it."""
    meta = {"name": name, "namespace": "team", "uid": "then", "resourceVersion": "7", **meta}
    body = {"apiVersion": f"{OURS}/v1", "kind": kind, "metadata": meta, "spec": spec}
    key = ObjectKey(OURS, plural, "team", name)
    return Record(7, key, "then", "updated", 1, orjson.dumps(body), 0, datetime.now(UTC), "ann")


def live(cloud: Cloud, plural: str, kind: str, name: str, spec: dict[str, Any]) -> None:
    meta = {"name": name, "namespace": "team", "uid": "now", "resourceVersion": "40"}
    cloud.resources[f"{ROOM}/{plural}/{name}"] = {
        "apiVersion": f"{OURS}/v1",
        "kind": kind,
        "metadata": meta,
        "spec": spec,
    }


def restoring(cloud: Cloud, *, dry_run: bool = False, by_name: bool = False) -> Restoring:
    api = cloud.api()
    return Restoring(api, discover(api), SERVICES, "team", dry_run=dry_run, by_name=by_name)


def test_what_is_gone_is_made_what_differs_is_put_back_and_the_rest_is_left_alone(cloud: Cloud) -> None:
    live(cloud, "services", "Service", "changed", {"image": "new"})
    live(cloud, "services", "Service", "same", {"image": "x"})
    work = restoring(cloud)
    said = work.run(
        [
            record("services", "Service", "changed", {"image": "old"}),
            record("services", "Service", "same", {"image": "x"}),
            record("services", "Service", "gone", {"image": "y"}, ownerReferences=[{"controller": False}]),
            record("services", "Service", "owned", {}, ownerReferences=[{"controller": True}]),
            record("keymaterials", "KeyMaterial", "hidden", {}),
        ]
    )
    assert [(each.method, each.url.path) for each in cloud.writes] == [
        ("PUT", f"{ROOM}/services/changed"),
        ("POST", f"{ROOM}/services"),
    ]
    put, made = (orjson.loads(each.content)["metadata"] for each in cloud.writes)
    assert (put["uid"], put["resourceVersion"]) == ("now", "40")  # what somebody changes meanwhile is not lost
    assert made == {"name": "gone", "namespace": "team"}
    assert "-  image: new" in said[0] and "+  image: old" in said[0]
    assert (work.made, work.changed, work.same, work.refused) == (1, 1, 1, 0)


def test_a_dry_run_asks_for_nothing_to_be_kept(cloud: Cloud) -> None:
    live(cloud, "services", "Service", "changed", {"image": "new"})
    work = restoring(cloud, dry_run=True)
    work.run([record("services", "Service", name, {"image": "old"}) for name in ("changed", "gone")])
    assert [each.url.params["dryRun"] for each in cloud.writes] == ["All", "All"]
    assert "nothing was changed" in work.summary()


def test_a_key_that_is_gone_is_named_and_not_made_with_other_material(cloud: Cloud) -> None:
    live(cloud, "keys", "Key", "there", {"description": "b"})
    work = restoring(cloud)
    said = work.run([record("keys", "Key", name, {"description": "a"}) for name in ("lost", "there")])
    assert "only the whole cloud has that" in said[0]
    assert [each.url.path for each in cloud.writes] == [f"{ROOM}/keys/there"]
    assert (work.left, work.changed) == (1, 1)


def test_one_that_is_refused_does_not_stop_the_others(cloud: Cloud) -> None:
    def refuse_first(request: Any) -> Any:
        if request.method == "POST" and b'"first"' in request.content:
            return status(422, "spec.image: not allowed here")
        cloud.refuse = None
        try:
            return cloud.answer(request)
        finally:
            cloud.refuse = refuse_first

    cloud.refuse = refuse_first
    work = restoring(cloud)
    said = work.run([record("services", "Service", name, {"image": "x"}) for name in ("first", "second")])
    assert (work.refused, work.made) == (1, 1)
    assert "not allowed here" in said[0] and "second" in said[1]


def test_what_has_come_since_is_named_and_stays(cloud: Cloud) -> None:
    items: list[dict[str, Any]] = [{"metadata": {"name": name}} for name in ("new", "then")]
    items.append({"metadata": {"name": "owned", "ownerReferences": [{"controller": True}]}})
    cloud.resources[f"{ROOM}/services"] = {"items": items}
    said = restoring(cloud).stays([record("services", "Service", "then", {})])
    assert said == ["service/new has come since: it stays"] and cloud.writes == []


def test_what_has_no_kind_any_more_is_named_and_counted(cloud: Cloud) -> None:
    work = restoring(cloud)
    said = work.run([record("widgets", "Widget", "mine", {"size": 1})])
    assert said == [f"widgets/mine: the kind Widget ({OURS}/v1) is not defined now: define it, and repeat"]
    assert work.left == 1 and "1 left out" in work.summary() and cloud.writes == []


def test_kinds_that_are_only_called_as_those_of_a_moment_are_restored(cloud: Cloud) -> None:
    work = restoring(cloud)
    work.run([record("events", "Event", "party", {})])
    assert work.left == 1  # of this group nothing is served


def test_what_others_make_is_refused_where_it_was_asked_for_by_name(cloud: Cloud) -> None:
    owner = {"controller": True, "kind": "Database", "name": "shop"}
    owned = record("services", "Service", "shop-0", {}, ownerReferences=[owner])
    assert restoring(cloud).run([owned]) == []
    work = restoring(cloud, by_name=True)
    assert work.run([owned]) == ["services/shop-0: made by database/shop, not by people: it is not restored"]
    assert work.refused == 1 and cloud.writes == []


def test_what_the_cloud_itself_sets_is_no_difference(cloud: Cloud) -> None:
    live(cloud, "services", "Service", "same", {"image": "x"})
    work = restoring(cloud)
    work.run([record("services", "Service", "same", {"image": "x"}, finalizers=["aerekos.cloud/then"])])
    assert (work.same, work.changed) == (1, 0) and cloud.writes == []
