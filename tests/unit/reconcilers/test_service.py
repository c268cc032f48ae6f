"""A service starts when its needs are met and a place is found; what runs is not stopped for either."""

from __future__ import annotations

import pytest

from controller.reconcile.outcome import Permanent, Temporary
from controller.reconcilers.service import ServiceReconciler
from controller.reconcilers.service_workload import RuntimeInputs
from controller.runtime.driver import DriverError
from crds.kind import key_of
from crds.kinds.service import SERVICE, ServiceSpec
from crds.kinds.worker import WORKER
from crds.managed import ManagedService
from crds.meta import Condition, condition, is_true

from .houses import FakeDriver, world

pytestmark = pytest.mark.anyio
KEYS = ManagedService("key_manager", "Keys", "", "x:y")
STORAGE = ManagedService("storage_manager", "Storage", "", "x:y", needs=("key_manager",))


class House:
    def __init__(self):
        self.world, self.driver = world(), FakeDriver()
        managed = {each.name: each for each in (KEYS, STORAGE)}
        self.reconciler = ServiceReconciler(self.driver, managed, self.env)
        worker = WORKER.new("oak")
        worker.status.conditions = [Condition(type="Ready", status="True")]
        self.worker = self.world.seen.put(WORKER, worker)

    async def env(self, service, managed):
        return RuntimeInputs(env={"AEREKOS_API": "https://127.0.0.1:7443"})

    def service(self, name, **spec):
        made = SERVICE.new(name, namespace="default", spec=ServiceSpec(**spec))
        made.metadata.uid = name
        return self.world.seen.put(SERVICE, made)

    async def look(self, service):
        return await self.reconciler.reconcile(service, self.world)


@pytest.fixture
async def house():
    return House()


async def test_a_managed_service_becomes_ready_and_a_second_look_changes_nothing(house):
    keys = house.service("key-manager", managed="key_manager")
    outcome = await house.look(keys)
    assert outcome.settled and keys.status.phase == "Ready" and keys.status.ready == "1/1"
    workload = house.driver.applied[0]
    assert workload.command[1:] == ("-P", "-m", "services.sdk.run", "{instance}")
    assert workload.env["AEREKOS_LISTEN"] == "{address}"
    before = keys.model_copy(deep=True)
    await house.look(keys)
    assert keys == before


def lacks(service):
    """The dependencies it lacks, as clients read them."""
    return service.wire()["status"]["missingDependencies"]


async def test_what_no_managed_service_is_can_only_be_created_by_its_author(house):
    web = house.service("web", image="nginx")
    web.spec.needs = ["db"]
    assert (await house.look(web)).reason == "WaitingForDependencies"
    assert lacks(web) == [{"name": "db", "managed": "", "reason": "NotFound"}]


async def test_it_waits_for_its_needs_but_runs_on_without_them(house):
    storage = house.service("storage-manager", managed="storage_manager")
    outcome = await house.look(storage)
    assert outcome.message == "waiting for key-manager to be created"
    assert lacks(storage) == [{"name": "key-manager", "managed": "key_manager", "reason": "NotFound"}]
    keys = house.service("key-manager", managed="key_manager")
    assert (await house.look(storage)).message == "waiting for key-manager to be Ready"
    assert [each["reason"] for each in lacks(storage)] == ["NotReady"]
    await house.look(keys)
    await house.look(storage)
    assert storage.status.phase == "Ready" and lacks(storage) == []
    keys.spec.enabled = False
    await house.look(keys)
    await house.look(storage)
    assert keys.status.phase == "Disabled" and [each["reason"] for each in lacks(storage)] == ["Disabled"]
    assert house.driver.running[key_of(SERVICE, storage)]
    assert is_true(storage.status.conditions, "Degraded")


async def test_a_need_brings_its_dependents_back(house):
    keys = house.service("key-manager", managed="key_manager")
    storage = house.service("storage-manager", managed="storage_manager")
    watch = house.reconciler.also_watch[0]
    assert list(watch.affects(keys, house.world.seen)) == [key_of(SERVICE, storage)]


async def test_unplaceable_says_why(house):
    house.worker.spec.unschedulable = True
    keys = house.service("key-manager", managed="key_manager")
    outcome = await house.look(keys)
    assert "1 worker is cordoned" in outcome.message
    assert keys.status.phase == "Waiting" and keys.status.refusals[0].reason == "is cordoned"
    assert not house.driver.applied


async def test_scaling_changes_no_revision_and_a_restart_does(house):
    keys = house.service("key-manager", managed="key_manager")
    await house.look(keys)
    first = keys.status.revision
    keys.spec.replicas = 3
    await house.look(keys)
    assert keys.status.revision == first and keys.status.ready == "3/3"
    keys.metadata.annotations = {"aerekos.cloud/restartedAt": "now"}
    await house.look(keys)
    assert keys.status.revision != first


async def test_an_unknown_managed_service_names_the_known_ones(house):
    with pytest.raises(Permanent, match="known are: key_manager, storage_manager"):
        await house.look(house.service("x", managed="nonsense"))


@pytest.mark.parametrize(("retryable", "kind"), [(True, Temporary), (False, Permanent)])
async def test_a_drivers_refusal_keeps_its_nature(house, retryable, kind):
    house.driver.refuses = DriverError("no docker", reason="NeedsContainerRuntime", retryable=retryable)
    web = house.service("web", image="nginx")
    with pytest.raises(kind):
        await house.look(web)
    assert condition(web.status.conditions, "Ready").reason == "NeedsContainerRuntime"


async def test_zero_replicas_and_deletion_forget_the_workload(house):
    keys = house.service("key-manager", managed="key_manager")
    await house.look(keys)
    keys.spec.replicas = 0
    await house.look(keys)
    assert keys.status.phase == "ScaledToZero" and not house.driver.running
    assert (await house.reconciler.finalize(keys, house.world)).settled
