"""What is found in bodies as they are stored: each finding where it belongs, and none where all is well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.health import machine, resources, workers
from controller.health.finding import Code, Finding
from controller.health.machine import Room
from controller.kit.clock import SystemClock
from controller.kit.leases import Leases, Usage
from controller.store.records import StoreFull
from crds.managed import ManagedService
from services.key_manager.kinds import KEY
from services.storage_manager.kinds import BUCKET

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEYS = ManagedService("key_manager", "Keys", "", "x:y", starts_enabled=True)
STORAGE = ManagedService("storage_manager", "Storage", "", "x:y", starts_enabled=True, needs=("key_manager",))


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def service(name: str, *conditions: dict[str, str], seen: int = 1, **spec: Any) -> dict[str, Any]:
    status = {"observedGeneration": seen, "conditions": list(conditions or [condition("Ready", "True")])}
    return {"metadata": {"name": name, "namespace": "default", "generation": 1}, "spec": spec, "status": status}


def test_a_missing_service_is_made_again_as_its_manifest_wants_it() -> None:
    sleeper = ManagedService("notes", "Notes", "", "x:y", starts_enabled=True, activation="onDemand")
    (found,) = resources.of_services((), (sleeper,), NOW)
    assert "spec: {managed: notes, activation: onDemand}" in found.fix


def told(found: Any) -> list[tuple[str, str]]:
    return [(each.severity, str(each.code)) for each in found]


BOTH = (service("key-manager", managed="key_manager"), service("storage-manager", managed="storage_manager"))


@pytest.mark.parametrize(
    ("services", "findings"),
    [
        (BOTH, []),
        (BOTH[:1], [("critical", "BuiltInServiceMissing")]),
        ((), [("critical", "BuiltInServiceMissing")] * 2),
        (
            (service("key-manager", managed="key_manager", enabled=False), BOTH[1]),
            [("critical", "BuiltInServiceDisabled")],
        ),
        (
            (BOTH[0], service("storage-manager", managed="storage_manager", enabled=False)),
            [("warning", "BuiltInServiceDisabled")],
        ),
        (
            (BOTH[0], service("storage-manager", managed="storage_manager", replicas=0)),
            [("warning", "BuiltInServiceDisabled")],
        ),
        (
            (BOTH[0], service("storage-manager", condition("Ready", "False"), managed="storage_manager")),
            [("critical", "BuiltInServiceNotReady")],
        ),
        # What was seen of an older generation says nothing.
        (
            (BOTH[0], service("storage-manager", seen=0, managed="storage_manager")),
            [("critical", "BuiltInServiceNotReady")],
        ),
        ((*BOTH, service("web", condition("Ready", "False"), image="x")), [("warning", "ServiceNotReady")]),
        ((*BOTH, service("web", image="x", enabled=False)), []),
        (
            (*BOTH, service("web", condition("Ready", "True"), condition("Degraded", "True"), image="x")),
            [("warning", "ServiceDegraded")],
        ),
    ],
)
def test_services(services: Any, findings: list[tuple[str, str]]) -> None:
    assert told(resources.of_services(services, (KEYS, STORAGE), NOW)) == findings


@pytest.mark.parametrize(
    ("phase", "minutes", "severity"),
    [
        ("Starting", 1, "info"),
        ("Updating", 1, "info"),
        ("Starting", 3, "warning"),
        ("Failed", 1, "warning"),
        ("Waiting", 1, "warning"),
    ],
)
def test_a_service_that_starts_needs_nobody_for_a_while(phase: str, minutes: int, severity: str) -> None:
    ready = condition("Ready", "False") | {"lastTransitionTime": (NOW - timedelta(minutes=minutes)).isoformat()}
    made = service("web", ready, image="x")
    made["status"]["phase"] = phase
    assert told(resources.of_services((*BOTH, made), (KEYS, STORAGE), NOW)) == [(severity, "ServiceNotReady")]
    built_in = {**made, "spec": {"managed": "key_manager"}}
    assert told(resources.of_services((built_in,), (), NOW)) == [("critical", "BuiltInServiceNotReady")]


def test_a_service_that_sleeps_is_no_trouble_and_one_that_wakes_is_little() -> None:
    echo = service("echo-manager", condition("Ready", "False"), managed="echo_manager", activation="onDemand")
    echo["status"]["phase"] = "ScaledToZero"
    assert told(resources.of_services([*BOTH, echo], (KEYS, STORAGE), NOW)) == []
    echo["status"] |= {"phase": "Starting"}
    echo["metadata"]["creationTimestamp"] = NOW.isoformat()
    assert told(resources.of_services([*BOTH, echo], (KEYS, STORAGE), NOW)) == [("info", "BuiltInServiceNotReady")]


def test_a_missing_service_comes_with_the_document_that_makes_it() -> None:
    import yaml

    (finding,) = resources.of_services(BOTH[:1], (KEYS, STORAGE), NOW)
    document = yaml.safe_load(finding.fix.partition("'")[2].rstrip("'"))
    assert (document["kind"], document["metadata"]["name"]) == ("Service", "storage-manager")
    assert document["spec"] == {"managed": "storage_manager"}


def test_namespaces_that_stay_are_told_with_what_holds_them() -> None:
    def going(minutes: int) -> dict[str, Any]:
        marked = (NOW - timedelta(minutes=minutes)).isoformat()
        status = {"conditions": [condition("Reconciled", "False", "ContentsRemain", "still inside: 1 buckets")]}
        return {"metadata": {"name": "old", "deletionTimestamp": marked}, "status": status}

    assert told(resources.of_namespaces([going(1), {"metadata": {"name": "default"}}], NOW)) == []
    (finding,) = resources.of_namespaces([going(6)], NOW)
    assert finding.code == Code.NAMESPACE_TERMINATING and "1 buckets" in finding.message


def test_keys_on_their_way_out() -> None:
    key = {"metadata": {"name": "k", "namespace": "default"}, "status": {"keyState": "PendingDeletion"}}
    assert told(resources.of_keys(KEY, [key])) == [("warning", "KeyPendingDeletion")]
    assert told(resources.of_keys(KEY, [{**key, "status": {"keyState": "Enabled"}}])) == []


def test_buckets_whose_keys_are_gone() -> None:
    def bucket(*conditions: dict[str, str]) -> dict[str, Any]:
        return {"metadata": {"name": "photos", "namespace": "team"}, "status": {"conditions": list(conditions)}}

    fine = (bucket(), bucket(condition("KeysUsable", "True", "KeysAvailable")))
    assert told(resources.of_buckets(BUCKET, fine)) == []
    (finding,) = resources.of_buckets(BUCKET, [bucket(condition("KeysUsable", "False", "KeyLost", "key k is gone"))])
    assert (finding.severity, finding.code, finding.about) == (
        "critical",
        Code.BUCKET_KEY_LOST,
        BUCKET.key("photos", "team"),
    )
    assert "photos" in finding.message and "key k is gone" in finding.message
    assert "backup" in finding.fix and "kubectl patch bucket photos -n team" in finding.fix


def test_buckets_whose_data_is_damaged() -> None:
    damaged = condition("DataIntact", "False", "DataDamaged", "what the disk holds of a/b is not what was written")
    bucket = {"metadata": {"name": "photos", "namespace": "team"}, "status": {"conditions": [damaged]}}
    (finding,) = resources.of_buckets(BUCKET, [bucket])
    assert (finding.severity, finding.code) == ("critical", Code.BUCKET_DATA_DAMAGED)
    assert "photos" in finding.message and "a/b" in finding.message and "backup" in finding.fix


def worker(name: str, ready: str = "True", **spec: Any) -> dict[str, Any]:
    status = {"conditions": [condition("Ready", ready)], "capacity": {"memory": "1000", "disk": "1000"}}
    return {"metadata": {"name": name}, "spec": spec, "status": status}


def of_one(usage: Usage, *, own: str = "", skew: float | None = None) -> list[tuple[str, str]]:
    leases, clock = Leases(SystemClock()), SystemClock()
    leases.beat("oak", usage, clock=None if skew is None else clock.now().timestamp() + skew)
    return told(workers.of_workers([worker("oak")], leases, own))


def test_workers_that_do_not_beat() -> None:
    leases = Leases(SystemClock())
    assert told(workers.of_workers([], leases)) == [("critical", "NoWorkerReady")]
    silent = [("critical", "NoWorkerReady"), ("critical", "WorkerNotReady")]
    assert told(workers.of_workers([worker("oak", "False")], leases)) == silent
    assert told(workers.of_workers([worker("oak"), worker("elm", "False")], leases)) == silent[1:]
    assert told(workers.of_workers([worker("oak", unschedulable=True)], leases)) == [("warning", "WorkerCordoned")]


def test_many_that_fall_silent_together_are_one_finding() -> None:
    leases = Leases(SystemClock())
    few = [worker("oak"), *(worker(f"w{each}", "False") for each in range(3))]
    assert told(workers.of_workers(few, leases)) == [("critical", "WorkerNotReady")] * 3
    (finding,) = workers.of_workers([worker("oak"), *(worker(f"w{each}", "False") for each in range(8))], leases)
    assert "8 of 9 workers have no heartbeat: w0, w1, w2, w3, w4, w5 and 2 more" in finding.message
    assert (finding.kind, finding.about) == ("Worker", None), "about no one of them"


@pytest.mark.parametrize(
    ("disk", "findings"),
    [
        (849, []),
        (850, [("warning", "DiskNearlyFull")]),
        (949, [("warning", "DiskNearlyFull")]),
        (950, [("critical", "DiskFull")]),
    ],
)
def test_disks_of_workers(disk: int, findings: list[tuple[str, str]]) -> None:
    assert of_one(Usage(disk=disk)) == findings
    assert of_one(Usage(disk=disk), own="oak") == [], "the conductor looks at its own disk itself"


def test_memory_and_clocks_of_workers() -> None:
    assert of_one(Usage(memory=949)) == [] and of_one(Usage(memory=950)) == [("warning", "MemoryNearlyFull")]
    assert of_one(Usage(), skew=20) == []
    assert of_one(Usage(), skew=-90) == [("warning", "ClockSkewed")]


def test_a_store_that_takes_nothing_or_nothing_new() -> None:
    assert list(machine.store_finding(None, takes_new=True)) == []
    (finding,) = machine.store_finding(StoreFull("cannot write records.db: no space left"), takes_new=False)
    assert (finding.severity, finding.code) == ("critical", Code.STORE_READ_ONLY)
    assert "read-only: cannot write records.db" in finding.message
    (finding,) = machine.store_finding(None, takes_new=False)
    assert "only changes and deletions" in finding.message


def test_a_capacity_nobody_told_is_not_full() -> None:
    assert list(machine.disk_finding("x", Room(10.0, 0.0))) == []


def test_what_is_told_is_plain_json() -> None:
    told = Finding("info", Code.MEMORY_NEARLY_FULL, "m", "f").wire()
    assert told == {
        "severity": "info",
        "code": "MemoryNearlyFull",
        "object": {"kind": "Conductor", "namespace": "", "name": ""},
        "message": "m",
        "fix": "f",
    }


def test_what_an_engine_lacks_is_mended_by_the_command_it_names() -> None:
    lacks = condition("Ready", "False", "EngineMissing", "run there: aerekos engine install postgresql")
    (found,) = resources.of_services([service("db", lacks, engine={"name": "postgresql"})], (), NOW)
    assert found.fix == "run that command there, as root; it starts by itself then"
