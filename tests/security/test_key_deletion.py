"""Key material goes only by a date 7 to 30 days ahead, whichever way somebody asks for less.

Over the resource API with every verb, patch type and option; then through the garbage collector, the namespace, the
clock. The same with kubectl and the aws CLI on a real cloud: test_protected_resources.py.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from unit.api.components import ADMIN, HOW, House, make_house

from controller.client.local import LocalResources
from controller.reconcile.reconciler import World
from controller.reconcilers.namespace import NamespaceReconciler
from controller.resources.strategy import WriteOptions
from crds.errors import ApiError, Conflict, Forbidden, Invalid
from crds.invariants import CONDUCTOR
from crds.kind import Kind
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.namespace import NAMESPACE
from crds.model import rfc3339
from services.key_manager.invariants import KEY_MANAGER
from services.key_manager.kinds import KEY, KEY_ALIAS, KEY_MATERIAL
from services.key_manager.root_key import RootKeyCipher
from services.storage_manager.kinds import BUCKET

pytestmark = pytest.mark.anyio
KEYS = "/apis/aerekos.cloud/v1/namespaces/default/keys"
US = WriteOptions(by=KEY_MANAGER)
CLEANER = WriteOptions(by=CONDUCTOR)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    for kind in (KEY, KEY_ALIAS, KEY_MATERIAL, BUCKET):
        made.registry.catalog.add(kind)
    await make_key(made, "payments")
    yield made
    await made.close()


async def make_key(house: House, name: str, namespace: str = "default", *, material: bool = True) -> str:
    """A key as key-manager leaves it; its uid."""
    made = await house.registry.create(KEY, namespace, {"metadata": {"name": name}}, HOW)
    uid = str(made.body["metadata"]["uid"])
    if material:
        await make(house, KEY_MATERIAL, f"{uid}-v1", {"keyUid": uid, "version": 1, "sealed": ""}, namespace, US)
    return uid


async def make(
    house: House,
    kind: Kind[Any],
    name: str,
    spec: dict[str, Any],
    namespace: str = "default",
    how: WriteOptions = HOW,
    **meta: Any,
) -> dict[str, Any]:
    body = {"metadata": {"name": name, **meta}, "spec": spec}
    return (await house.registry.create(kind, namespace, body, how)).body


def ahead(house: House, **delta: float) -> str:
    return rfc3339(house.clock.now() + timedelta(**delta))


def is_there(house: House, name: str, namespace: str = "default") -> bool:
    key = house.store.get(KEY.key(name, namespace))
    if key is None or key.object["metadata"].get("deletionTimestamp"):
        return False
    uids = [each.object["spec"]["keyUid"] for each in house.store.list(KEY.group, "keymaterials").records]
    return key.object["metadata"]["uid"] in uids


DELETES: dict[str, tuple[str, str, Any]] = {
    "plain": ("DELETE", f"{KEYS}/payments", None),
    "forced": ("DELETE", f"{KEYS}/payments?gracePeriodSeconds=0", {"kind": "DeleteOptions", "gracePeriodSeconds": 0}),
    "foreground": ("DELETE", f"{KEYS}/payments?propagationPolicy=Foreground", None),
    "orphan": ("DELETE", f"{KEYS}/payments?propagationPolicy=Orphan", None),
    "all of them": ("DELETE", KEYS, None),
    "by label": ("DELETE", f"{KEYS}?labelSelector=", None),
}


@pytest.mark.parametrize("how", DELETES)
async def test_delete_says_how_to_schedule_it_instead(house: House, how: str) -> None:
    method, path, body = DELETES[how]
    async with house.client(house.bearer(ADMIN)) as client:
        answer = await client.request(method, path, json=body)
    assert answer.status_code == 409, answer.text
    assert "deletionDate" in answer.json()["message"] and "schedule-key-deletion" in answer.json()["message"]
    assert is_there(house, "payments")


@pytest.mark.parametrize("finalizers", [[], ["example.org/x"]])
async def test_no_other_spelling_marks_it_as_dying(house: House, finalizers: list[str]) -> None:
    meta = {"deletion_timestamp": "2020-01-01T00:00:00Z", "finalizers": finalizers}
    headers = {"content-type": "application/merge-patch+json"}
    async with house.client(house.bearer(ADMIN)) as client:
        await client.patch(f"{KEYS}/payments", json={"metadata": meta}, headers=headers)
        made = await client.post(KEYS, json={"metadata": {**meta, "name": "born-dying"}})
    assert is_there(house, "payments")
    assert "deletionTimestamp" not in made.json()["metadata"]


SPECS = ({"deletionDate": "2020-01-01T00:00:00Z"}, {"deletionDate": "2999-01-01T00:00:00Z"})


@pytest.mark.parametrize("date", ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "soon"])
@pytest.mark.parametrize("way", ["merge", "json", "apply", "replace", "create"])
async def test_a_date_outside_the_window_is_refused(house: House, way: str, date: str) -> None:
    wanted = ahead(house, days=6) if date == "soon" else date
    async with house.client(house.bearer(ADMIN)) as client:
        answer = await _dated(client, way, wanted)
    assert answer.status_code == 422, answer.text
    assert "7 to 30 days" in answer.json()["message"]
    assert is_there(house, "payments")


async def _dated(client: httpx.AsyncClient, way: str, date: str) -> httpx.Response:
    spec, path = {"deletionDate": date}, f"{KEYS}/payments"
    whole = {"apiVersion": "aerekos.cloud/v1", "kind": "Key", "metadata": {"name": "payments"}, "spec": spec}
    if way == "merge":
        return await client.patch(path, json={"spec": spec}, headers={"content-type": "application/merge-patch+json"})
    if way == "json":
        patch = [{"op": "add", "path": "/spec/deletionDate", "value": date}]
        return await client.patch(path, json=patch, headers={"content-type": "application/json-patch+json"})
    if way == "apply":
        headers = {"content-type": "application/apply-patch+yaml"}
        return await client.patch(f"{path}?fieldManager=eve&force=true", json=whole, headers=headers)
    if way == "create":
        return await client.post(KEYS, json={**whole, "metadata": {"name": "another"}})
    there = (await client.get(path)).json()
    return await client.put(path, json={**there, "spec": spec})


async def test_an_old_version_put_back_does_not_bring_an_old_date(house: House) -> None:
    """What a restore of an earlier state does."""
    await schedule(house, ahead(house, days=8))
    old = house.registry.get(KEY, KEY.key("payments")).object
    await house.registry.merge(KEY, KEY.key("payments"), {"spec": {"deletionDate": None}}, HOW)
    house.clock.forward(20 * 86400)
    meta = {**old["metadata"], "resourceVersion": ""}
    with pytest.raises(Invalid):
        await house.registry.update(KEY, KEY.key("payments"), lambda _: {**old, "metadata": meta}, HOW)


async def schedule(house: House, date: str, name: str = "payments") -> None:
    await house.registry.merge(KEY, KEY.key(name), {"spec": {"deletionDate": date}}, HOW)


async def test_only_key_manager_deletes_it_only_when_due_and_it_can_be_kept_until_then(house: House) -> None:
    key = KEY.key("payments")
    await schedule(house, ahead(house, days=7))
    for how in (HOW, US, CLEANER):
        with pytest.raises(Conflict, match="cannot be sooner"):
            await house.registry.delete(KEY, key, how)
    await house.registry.merge(KEY, key, {"spec": {"deletionDate": None}}, HOW)
    await schedule(house, ahead(house, days=7))
    house.clock.forward(7 * 86400)
    for how in (HOW, CLEANER):
        with pytest.raises(Conflict):
            await house.registry.delete(KEY, key, how)
    assert is_there(house, "payments")
    await house.registry.delete(KEY, key, US)
    assert house.store.get(key) is None


async def test_a_key_in_use_is_refused_by_name_by_whatever_it_is_called(house: House) -> None:
    uid = str(house.registry.get(KEY, KEY.key("payments")).object["metadata"]["uid"])
    await make(house, KEY_ALIAS, "pay", {"key": "payments", "aliasName": "alias/pay"})
    arn = f"arn:aws:kms:eu-central-1:000000000000:key/{uid}"
    names = ("payments", uid, "alias/pay", arn, "arn:aws:kms:us-east-1:000000000000:alias/pay")
    for number, name in enumerate(names):
        bucket = f"photos{number}"
        await make(house, BUCKET, bucket, {"encryption": {"key": name}})
        with pytest.raises(Conflict, match=f"in use by Bucket {bucket}"):
            await schedule(house, ahead(house, days=8))
        await forget(house, bucket)
    await schedule(house, ahead(house, days=8))


async def forget(house: House, bucket: str) -> None:
    """Deletes it, and lets it go as storage-manager does."""
    key = BUCKET.key(bucket)
    await house.registry.delete(BUCKET, key, HOW)
    storage = WriteOptions(by="system:service:storage-manager")
    await house.registry.merge(BUCKET, key, {"metadata": {"finalizers": None}}, storage)


async def test_a_key_that_sealed_what_still_lies_there_is_in_use_though_the_bucket_names_another(
    house: House,
) -> None:
    uid = str(house.registry.get(KEY, KEY.key("payments")).object["metadata"]["uid"])
    await make(house, BUCKET, "photos", {})
    status = {"status": {"keys": [f"arn:aws:kms:us-east-1:000000000000:key/{uid}"]}}
    await house.registry.merge(BUCKET, BUCKET.key("photos"), status, HOW, subresource="status")
    with pytest.raises(Conflict, match="Bucket photos"):
        await schedule(house, ahead(house, days=8))


async def test_what_begins_to_need_it_after_it_was_scheduled_still_stops_its_end(house: House) -> None:
    await schedule(house, ahead(house, days=7))
    await make(house, BUCKET, "late", {"encryption": {"key": "payments"}})
    house.clock.forward(30 * 86400)
    with pytest.raises(Conflict, match="Bucket late"):
        await house.registry.delete(KEY, KEY.key("payments"), US)
    assert is_there(house, "payments")


async def test_an_alias_in_use_stays(house: House) -> None:
    await make(house, KEY_ALIAS, "pay", {"key": "payments", "aliasName": "alias/pay"})
    await make(house, BUCKET, "photos", {"encryption": {"key": "alias/pay"}})
    with pytest.raises(Conflict, match="Bucket photos"):
        await house.registry.delete(KEY_ALIAS, KEY_ALIAS.key("pay"), HOW)
    with pytest.raises(Conflict, match="already"):
        await make(house, KEY_ALIAS, "shadow", {"key": "payments", "aliasName": "alias/pay"})
    with pytest.raises(Invalid):
        await house.registry.merge(KEY_ALIAS, KEY_ALIAS.key("pay"), {"spec": {"aliasName": "alias/x"}}, HOW)


@pytest.mark.parametrize(
    "spec", [{"deletionDate": "soon"}, {"enabled": False}, {"rotateEvery": None}, {"description": "mine"}]
)
async def test_the_platforms_own_keys_are_nobodys(house: House, spec: dict[str, Any]) -> None:
    with pytest.raises(Forbidden):
        await make(house, KEY_ALIAS, "s3", {"key": "payments", "aliasName": "alias/aws/s3"})
    await make(house, KEY_ALIAS, "s3", {"key": "payments", "aliasName": "alias/aws/s3"}, how=US)
    wanted = {**spec, "deletionDate": ahead(house, days=8)} if "deletionDate" in spec else spec
    base = {"rotateEvery": 365}
    await house.registry.merge(KEY, KEY.key("payments"), {"spec": base}, US)
    with pytest.raises(Forbidden):
        await house.registry.merge(KEY, KEY.key("payments"), {"spec": wanted}, HOW)
    for how in (HOW, US, CLEANER):
        with pytest.raises(Forbidden):
            await house.registry.delete(KEY, KEY.key("payments"), how)
    with pytest.raises(ApiError):
        await house.registry.delete(KEY_ALIAS, KEY_ALIAS.key("s3"), HOW)
    with pytest.raises(Forbidden):
        await house.registry.merge(KEY_ALIAS, KEY_ALIAS.key("s3"), {"spec": {"key": "evil"}}, HOW)
    if "enabled" in spec or "deletionDate" in spec:
        with pytest.raises(Forbidden):
            await house.registry.merge(KEY, KEY.key("payments"), {"spec": wanted}, US)


async def test_material_is_key_managers_alone_and_stays_as_long_as_its_key(house: House) -> None:
    (record,) = house.store.list(KEY.group, "keymaterials").records
    for how in (HOW, WriteOptions(by=f"{KEY_MANAGER} (by root)"), WriteOptions(by="system:service:storage-manager")):
        with pytest.raises(Forbidden):
            await house.registry.delete(KEY_MATERIAL, record.key, how)
        with pytest.raises(Forbidden):
            await house.registry.merge(KEY_MATERIAL, record.key, {"spec": {"sealed": "eA=="}}, how)
    for how in (US, CLEANER):
        with pytest.raises(Conflict):
            await house.registry.delete(KEY_MATERIAL, record.key, how)
        with pytest.raises(Invalid):
            await house.registry.merge(KEY_MATERIAL, record.key, {"spec": {"sealed": "eA=="}}, how)


async def test_imported_material_is_removed_and_comes_again_but_is_not_exchanged(house: House) -> None:
    root = RootKeyCipher(bytes(32))
    uid = await make_key(house, "outside", material=False)
    spec = {"keyUid": uid, "version": 1, "imported": True, "pending": True, "materialId": "a" * 64}
    name = f"{uid}-v1"
    await make(house, KEY_MATERIAL, name, {**spec, "sealed": text_of(root, uid)}, how=US)

    async def patch(how: WriteOptions = US, **fields: Any) -> None:
        await house.registry.merge(KEY_MATERIAL, KEY_MATERIAL.key(name, "default"), {"spec": fields}, how)

    await patch(pending=False)
    await patch(removed=True, sealed=text_of(root, uid))
    await patch(removed=False, sealed=text_of(root, uid), validTo=ahead(house, days=9))
    for wrong in ({"materialId": "b" * 64}, {"pending": True}, {"imported": False}, {"version": 2}, {"sealed": ""}):
        with pytest.raises(Invalid):
            await patch(**wrong)
    with pytest.raises(Forbidden):
        await patch(HOW, removed=True)
    with pytest.raises(Conflict):
        await house.registry.delete(KEY_MATERIAL, KEY_MATERIAL.key(name, "default"), US)


async def test_nobody_but_key_manager_makes_replicas_and_the_first_of_a_family_stays(house: House) -> None:
    uid = str(house.registry.get(KEY, KEY.key("payments", "default")).object["metadata"]["uid"])
    spec = {"multiRegion": True, "region": "eu-west-1", "replicaOf": "payments", "materialOf": uid}
    with pytest.raises(Forbidden):
        await make(house, KEY, "mine", spec)
    with pytest.raises(Invalid):
        await house.registry.merge(KEY, KEY.key("payments", "default"), {"spec": {"materialOf": uid}}, HOW)
    await make(house, KEY, "replica", spec, how=US)
    date = {"spec": {"deletionDate": ahead(house, days=8)}}
    with pytest.raises(Conflict, match="replica"):
        await house.registry.merge(KEY, KEY.key("payments", "default"), date, HOW)
    await house.registry.merge(KEY, KEY.key("replica", "default"), date, HOW)


def text_of(root: RootKeyCipher, uid: str) -> str:
    return base64.b64encode(root.close(bytes(32), uid, 1)).decode()


async def test_an_owner_does_not_take_a_key_along(house: House) -> None:
    """The garbage collector's own write, after somebody made the key a ConfigMap's and deleted that."""
    owner = await make_map(house, "owner")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner}
    await house.registry.merge(KEY, KEY.key("payments"), {"metadata": {"ownerReferences": [reference]}}, HOW)
    await house.registry.delete(CONFIG_MAP, CONFIG_MAP.key("owner"), HOW)
    with pytest.raises(Conflict):
        await house.registry.delete(KEY, KEY.key("payments"), CLEANER)
    assert is_there(house, "payments")


async def make_map(house: House, name: str) -> str:
    made = await house.registry.create(CONFIG_MAP, "default", {"metadata": {"name": name}, "data": {}}, HOW)
    return str(made.body["metadata"]["uid"])


async def test_a_namespace_with_keys_stays_and_says_which(house: House) -> None:
    await house.registry.create(NAMESPACE, "", {"metadata": {"name": "team"}}, HOW)
    await make_key(house, "orders", "team")
    with pytest.raises(Conflict, match='"orders"'):
        await house.registry.delete(NAMESPACE, NAMESPACE.key("team"), HOW)
    assert is_there(house, "orders", "team")


async def test_even_in_a_namespace_that_is_going_the_key_waits(house: House) -> None:
    """As after a race: the namespace was marked while a key was made in it."""
    await house.registry.create(NAMESPACE, "", {"metadata": {"name": "team"}}, HOW)
    await house.registry.delete(NAMESPACE, NAMESPACE.key("team"), HOW)
    house.registry._check_namespace = lambda kind, namespace: None  # type: ignore[method-assign]
    await make_key(house, "orders", "team")
    with pytest.raises(Conflict):
        await house.registry.delete(KEY, KEY.key("orders", "team"), CLEANER)
    for how in (HOW, US):
        with pytest.raises(Forbidden, match="system:conductor"):
            await house.registry.merge(NAMESPACE, NAMESPACE.key("team"), {"metadata": {"finalizers": None}}, how)


async def test_a_namespace_that_is_going_says_what_keeps_it(house: House) -> None:
    await house.registry.create(NAMESPACE, "", {"metadata": {"name": "team"}}, HOW)
    await house.registry.delete(NAMESPACE, NAMESPACE.key("team"), HOW)
    house.registry._check_namespace = lambda kind, namespace: None  # type: ignore[method-assign]
    await make_key(house, "orders", "team")
    resources = LocalResources(house.registry, CONDUCTOR)
    world = World(resources, cast(Any, None), house.clock, cast(Any, None))
    deleting = await resources.get(NAMESPACE, "team")
    outcome = await NamespaceReconciler(house.registry.catalog).finalize(deleting, world)
    assert not outcome.settled and "1 keys" in outcome.message and "schedule-key-deletion" in outcome.message
    assert house.store.get(KEY.key("orders", "team")) is not None


async def test_the_platforms_keys_go_with_an_empty_namespace_after_what_they_sealed(house: House) -> None:
    await house.registry.create(NAMESPACE, "", {"metadata": {"name": "team"}}, HOW)
    await make_key(house, "own", "team")
    await make(house, KEY_ALIAS, "s3", {"key": "own", "aliasName": "alias/aws/s3"}, "team", US)
    await make(house, BUCKET, "empty", {}, "team")
    await house.registry.delete(NAMESPACE, NAMESPACE.key("team"), HOW)
    for kind, name in ((KEY, "own"), (KEY_ALIAS, "s3")):
        with pytest.raises(Conflict):
            await house.registry.delete(kind, kind.key(name, "team"), CLEANER)
    bucket, storage = BUCKET.key("empty", "team"), WriteOptions(by="system:service:storage-manager")
    await house.registry.delete(BUCKET, bucket, CLEANER)
    await house.registry.merge(BUCKET, bucket, {"metadata": {"finalizers": None}}, storage)
    for kind, name in ((KEY, "own"), (KEY_ALIAS, "s3")):
        await house.registry.delete(kind, kind.key(name, "team"), CLEANER)


async def test_a_key_that_never_had_material_goes_at_once(house: House) -> None:
    await make_key(house, "typo", material=False)
    await house.registry.delete(KEY, KEY.key("typo"), HOW)
    assert house.store.get(KEY.key("typo")) is None


async def test_a_marked_key_of_an_earlier_version_is_not_lost_by_taking_its_finalizer(house: House) -> None:
    """Such a key waited for somebody's finalizer; whoever takes that away does not end the key."""
    key = KEY.key("payments")
    await house.registry.merge(KEY, key, {"metadata": {"finalizers": ["example.com/mine"]}}, HOW)
    record = house.registry.get(KEY, key)
    from controller.store.records import Change

    meta = {**record.object["metadata"], "deletionTimestamp": ahead(house)}
    await house.store.write([Change(key, {**record.object, "metadata": meta}, record.revision)], by="before")
    with pytest.raises(Conflict):
        await house.registry.merge(KEY, key, {"metadata": {"finalizers": None}}, HOW)
    assert house.store.get(key) is not None
