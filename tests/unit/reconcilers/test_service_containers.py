"""Services that are containers: files from elsewhere, daemons, jobs, data that stays, revisions rolled back."""

from __future__ import annotations

import base64

import pytest

from controller.reconcilers.service_dependencies import affected
from controller.runtime.driver import DriverError, ObservedInstance
from crds.kind import key_of
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER, Taint
from crds.managed import ManagedService
from crds.meta import Condition, condition, is_true

from .test_service import House

pytestmark = pytest.mark.anyio
FILES = [
    {"path": "/run/password", "secret": {"name": "db", "key": "password"}},
    {"path": "/etc/web", "configMap": {"name": "web", "key": "web.conf"}},
]


@pytest.fixture
async def house():
    return House()


def worker(house, name, *, ready=True, **spec):
    made = WORKER.new(name)
    made.status.conditions = [Condition(type="Ready", status="True" if ready else "False")]
    for field, value in spec.items():
        setattr(made.spec, field, value)
    return house.world.seen.put(WORKER, made)


def secret(house, text):
    data = {"password": base64.b64encode(text.encode()).decode()}
    return house.world.seen.put(SECRET, SECRET.new("db", namespace="default", data=data))


def config_map(house, text="listen 80"):
    return house.world.seen.put(CONFIG_MAP, CONFIG_MAP.new("web", namespace="default", data={"web.conf": text}))


def seen(house, service, *instances):
    house.driver.running[key_of(SERVICE, service)] = list(instances)


async def test_files_are_waited_for_and_their_content_is_part_of_the_revision(house):
    web = house.service("web", image="web:1", files=FILES)
    assert (await house.look(web)).message == "waiting for password of the secret db"
    secret(house, "hidden")
    assert (await house.look(web)).message == "waiting for web.conf of the configmap web"
    config_map(house)
    assert (await house.look(web)).settled
    wish = house.driver.applied[-1]
    assert [(each.path, each.content, each.secret) for each in wish.files] == [
        ("/run/password", b"hidden", True),
        ("/etc/web", b"listen 80", False),
    ]
    secret(house, "another")
    await house.look(web)
    assert house.driver.applied[-1].revision != wish.revision
    assert "hidden" not in repr(wish)


async def test_what_runs_goes_on_when_a_file_is_taken_away_and_says_so(house):
    secret(house, "hidden")
    config_map(house)
    web = house.service("web", image="web:1", files=FILES)
    await house.look(web)
    house.world.seen.items = [each for each in house.world.seen.items if each[0] is not SECRET]
    outcome = await house.look(web)
    assert (outcome.settled, outcome.reason) == (False, "WaitingForFiles")
    assert condition(web.status.conditions, "Degraded").message == "runs on, but waits for password of the secret db"
    assert len(house.driver.applied) == 1 and web.status.ready == "1/1"


async def test_a_changed_secret_or_config_map_wakes_its_users(house):
    web = house.service("web", image="web:1", files=FILES)
    house.service("other", image="web:1")
    for watch, changed in zip(house.reconciler.also_watch[2:], (secret(house, "x"), config_map(house)), strict=True):
        assert list(watch.affects(changed, house.world.seen)) == [key_of(SERVICE, web)]


async def test_a_daemon_is_ready_when_it_runs_on_every_worker_that_is(house):
    for name in ("elm", "fir"):
        worker(house, name)
    worker(house, "ash", ready=False)
    each = house.service("each", image="web:1", mode="daemon")
    await house.look(each)
    assert (each.status.ready, each.status.phase) == ("1/3", "Degraded")
    revision = house.driver.applied[-1].revision
    seen(
        house,
        each,
        *(ObservedInstance(f"each-{n}", "Ready", True, revision, worker=n) for n in ("oak", "elm", "fir")),
    )
    house.driver.apply = nothing
    assert (await house.look(each)).settled
    assert (each.status.ready, each.status.replicas, each.status.phase) == ("3/3", 3, "Ready")


async def nothing(workload):
    return None


async def test_a_job_is_completed_when_all_its_copies_are(house):
    job = house.service("job", image="web:1", mode="job", replicas=2)
    await house.look(job)
    revision = house.driver.applied[-1].revision
    house.driver.apply = nothing
    seen(
        house,
        job,
        ObservedInstance("job-0", "Completed", False, revision),
        ObservedInstance("job-1", "Ready", True, revision),
    )
    await house.look(job)
    assert (job.status.phase, job.status.ready) == ("Ready", "2/2")
    seen(house, job, *(ObservedInstance(f"job-{n}", "Completed", False, revision) for n in (0, 1)))
    assert (await house.look(job)).settled
    assert (job.status.phase, job.status.ready) == ("Completed", "2/2")
    assert is_true(job.status.conditions, "Ready")
    seen(
        house,
        job,
        *(ObservedInstance(f"job-{n}", "CrashLoopBackOff", False, revision, message="exit 3") for n in (0, 1)),
    )
    await house.look(job)
    assert (job.status.phase, is_true(job.status.conditions, "Ready")) == ("Failed", False)


async def test_a_copy_too_many_that_moves_is_no_lack(house):
    web = house.service("web", image="web:1", replicas=2)
    await house.look(web)
    revision = house.driver.applied[-1].revision
    house.driver.apply = nothing
    ready = [ObservedInstance(f"web-{n}", "Ready", True, revision, worker="oak") for n in (1, 2)]
    for last in ("Starting", "Stopping"):
        seen(house, web, *ready, ObservedInstance("web-3", last, False, revision))
        assert (await house.look(web)).settled
        assert web.status.phase == "Ready"


async def test_what_was_rolled_back_serves_on_and_is_looked_at_as_ever(house):
    web = house.service("web", image="web:1", replicas=2)
    await house.look(web)
    served = house.driver.applied[-1].revision
    web.spec.image = "web:2"
    house.driver.refuses = DriverError(
        "revision 2: exit 3; the one before serves on", reason="RolledBack", retryable=False
    )
    outcome = await house.look(web)
    assert (outcome.settled, outcome.reason) == (False, "RolledBack")
    for kind, status in (("Ready", "True"), ("Progressing", "False")):
        found = condition(web.status.conditions, kind)
        assert (found.status, found.reason) == (status, "RolledBack") and "exit 3" in found.message
    assert [each.revision for each in web.status.instances] == [served] * 2
    assert web.status.updated_replicas == 0 and web.status.revision != served
    seen(
        house,
        web,
        ObservedInstance("web-1", "Ready", True, served),
        ObservedInstance("web-2", "Starting", False, served),
    )
    await house.look(web)
    assert web.status.ready == "1/2" and not is_true(web.status.conditions, "Ready")


async def test_a_silent_worker_changes_no_wish(house):
    worker(house, "elm")
    web = house.service("web", image="web:1")
    await house.look(web)
    assert house.driver.applied[-1].workers == ()
    worker(house, "elm", ready=False)
    await house.look(web)
    assert house.driver.applied[-1].workers == ()
    worker(house, "ash", unschedulable=True)
    await house.look(web)
    assert sorted(house.driver.applied[-1].workers) == ["elm", "oak"]


async def test_data_stays_where_it_is_and_its_absence_is_told(house):
    worker(house, "elm")
    db = house.service("db", image="db:1", volumes=[{"name": "data", "path": "/data"}])
    await house.look(db)
    assert house.driver.applied[-1].update.order == "stop-first"
    assert db.status.data_on == ["oak"]
    await house.look(db)
    assert house.driver.applied[-1].workers == ("oak",)
    worker(house, "oak", ready=False)
    seen(
        house, db, ObservedInstance("db-1", "Failed", False, db.status.revision, worker="oak", message="oak is away")
    )
    house.driver.apply = nothing
    await house.look(db)
    ready = condition(db.status.conditions, "Ready")
    assert ready.status == "False" and "db-1 is Failed: oak is away" in ready.message
    assert "needs its data on oak; 1 worker does not keep its data, 1 is not Ready" in ready.message
    house.world.seen.items = [e for e in house.world.seen.items if e[1].metadata.name != "oak"]
    await house.look(db)
    assert db.status.data_on == []  # that worker is gone for good, and its data with it


async def test_a_home_that_moved_to_another_machine_has_its_data_there(house):
    """The process runtime reaches its own machine alone, and keeps data in the home."""
    worker(house, "elm")
    db = house.service("db", image="db:1", volumes=[{"name": "data", "path": "/data"}])
    db.status.data_on = ["oak"]
    house.reconciler._reach = lambda _: frozenset({"elm"})
    await house.look(db)
    assert house.driver.applied[-1].workers == ("elm",)
    assert "elm" in db.status.data_on


async def test_more_copies_may_keep_more_data(house):
    worker(house, "elm")
    db = house.service("db", image="db:1", volumes=[{"name": "data", "path": "/data"}])
    await house.look(db)
    db.spec.replicas = 2
    await house.look(db)
    assert house.driver.applied[-1].workers == ()


async def test_who_keeps_data_never_runs_twice_at_once(house):
    store = ManagedService("store_manager", "Store", "", "x:y", keeps_data=True)
    house.reconciler._managed["store_manager"] = store
    one = house.service("store-manager", managed="store_manager", update={"order": "start-first"})
    await house.look(one)
    assert house.driver.applied[-1].update.order == "stop-first" and one.status.data_on == ["oak"]


async def test_replicas_that_share_a_folder_stay_where_it_is(house):
    """Elsewhere one would begin with an empty folder, and answer by it."""
    worker(house, "elm")
    house.reconciler._managed["store_manager"] = ManagedService("store_manager", "Store", "", "x:y", keeps_data=True)
    store = house.service("store-manager", managed="store_manager")
    await house.look(store)
    store.spec.replicas = 2
    await house.look(store)
    assert store.status.data_on == ["oak"] and house.driver.applied[-1].workers == ("oak",)


async def test_a_cordon_wakes_whom_it_may_concern(house):
    web = house.service("web", image="web:1")
    await house.look(web)
    far = worker(house, "far")
    assert list(affected(far, house.world.seen)) == []
    far.spec.unschedulable = True
    assert list(affected(far, house.world.seen)) == [key_of(SERVICE, web)]
    far.spec.unschedulable, far.spec.taints = False, [Taint(key="gpu")]
    assert list(affected(far, house.world.seen)) == [key_of(SERVICE, web)]
