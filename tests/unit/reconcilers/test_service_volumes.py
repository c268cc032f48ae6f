"""How much volumes hold: in the status, without a write for each row somebody inserts."""

from __future__ import annotations

from controller.reconcilers.service_volumes import note_volumes, overfull
from crds.kinds.service import SERVICE, Service, ServiceSpec


def database(size: str | None = None) -> Service:
    volumes = [{"name": "data", "path": "/srv/data", **({"size": size} if size else {})}]
    return SERVICE.new("db", namespace="default", spec=ServiceSpec.model_validate({"image": "x", "volumes": volumes}))


def test_small_changes_are_not_written() -> None:
    db = database()
    note_volumes(db, {"data": 100 * 2**20})
    assert [each.wire() for each in db.status.volumes] == [{"name": "data", "used": "100Mi", "size": ""}]
    note_volumes(db, {"data": 104 * 2**20})
    assert db.status.volumes[0].used == "100Mi"
    note_volumes(db, {"data": 106 * 2**20})
    assert db.status.volumes[0].used == "106Mi"
    note_volumes(db, {})
    assert db.status.volumes == [], "of what cannot be measured nothing is said"


def test_more_than_was_asked_for_is_told() -> None:
    db = database("1Gi")
    note_volumes(db, {"data": 2**30})
    assert overfull(db) == []
    note_volumes(db, {"data": 2 * 2**30})
    assert overfull(db) == ["data holds 2Gi of 1Gi"]
