"""A service on demand sleeps while nobody asks for it, and is awake for whoever does."""

from __future__ import annotations

import pytest

from controller.reconcilers.service import DRAIN_SECONDS, ServiceReconciler
from controller.reconcilers.service_activation import Activations, needed_asleep
from controller.reconcilers.service_workload import RuntimeInputs
from crds.kind import key_of
from crds.kinds.service import SERVICE, ServiceSpec
from crds.kinds.worker import WORKER
from crds.managed import ManagedService
from crds.meta import Condition, is_true
from services.key_manager.kinds import KEY

from .houses import FakeDriver, world

pytestmark = pytest.mark.anyio
ECHO = ManagedService("echo_manager", "Echo", "", "x:y")
CHAT = ManagedService("chat_manager", "Chat", "", "x:y", needs=("echo_manager",))
KEYS = ManagedService("key_manager", "Keys", "", "x:y", kinds=(KEY,))


class HandClock:
    seconds = 1000.0

    def monotonic(self):
        return self.seconds


class House:
    def __init__(self):
        self.world, self.driver, self.clock = world(), FakeDriver(), HandClock()
        self.activations, self.woken, self.existing = Activations(self.clock), [], set()
        self.activations.enqueue = self.woken.append
        self.managed = {each.name: each for each in (ECHO, CHAT, KEYS)}
        self.reconciler = self.new_reconciler()
        worker = WORKER.new("oak")
        worker.status.conditions = [Condition(type="Ready", status="True")]
        self.world.seen.put(WORKER, worker)

    def new_reconciler(self):
        return ServiceReconciler(
            self.driver,
            self.managed,
            self.env,
            activations=self.activations,
            exists=lambda kind: kind.plural in self.existing,
        )

    async def env(self, service, managed):
        return RuntimeInputs()

    def service(self, managed, **spec):
        name = managed.replace("_", "-")
        asked = {"activation": "onDemand", "idle_seconds": 60, **spec}
        made = SERVICE.new(name, namespace="default", spec=ServiceSpec(managed=managed, **asked))
        made.metadata.uid = name
        return self.world.seen.put(SERVICE, made)

    async def look(self, service):
        return await self.reconciler.reconcile(service, self.world)

    def runs(self, service):
        return key_of(SERVICE, service) in self.driver.running

    async def awake(self, service):
        self.activations.note_use(service.metadata.name)
        await self.look(service)
        assert self.runs(service)
        return service


@pytest.fixture
async def house():
    return House()


async def test_it_is_asleep_until_somebody_asks_for_it(house):
    echo = house.service("echo_manager")
    outcome = await house.look(echo)
    assert outcome.settled and echo.status.phase == "ScaledToZero" and not house.driver.applied
    assert "asleep until somebody asks for it" in outcome.message
    house.activations.note_use("echo-manager")
    assert house.woken == [key_of(SERVICE, echo)]
    outcome = await house.look(echo)
    assert is_true(echo.status.conditions, "Ready") and outcome.requeue_after == 60


async def test_it_sleeps_once_nobody_asked_for_the_idle_time_and_gateways_hear_of_it_first(house):
    echo = await house.awake(house.service("echo_manager"))
    key = key_of(SERVICE, echo)
    house.reconciler._endpoints.report(key, "echo-manager", [])
    house.clock.seconds += 59
    house.activations.note_use("echo-manager")
    assert house.woken == [], "what is awake is not woken"
    house.clock.seconds += 59
    assert (await house.look(echo)).requeue_after == 1 and house.runs(echo)
    house.clock.seconds += 1
    house.reconciler._endpoints.put(key, "echo-manager", [("echo-manager-0", "127.0.0.1:1")])
    outcome = await house.look(echo)
    assert not outcome.settled and outcome.requeue_after == DRAIN_SECONDS and house.runs(echo)
    assert house.reconciler._endpoints.ready(key, "echo-manager") == ()
    assert (await house.look(echo)).settled
    assert not house.runs(echo) and echo.status.phase == "ScaledToZero"


async def test_whoever_comes_while_it_goes_to_sleep_keeps_it_awake(house):
    echo = await house.awake(house.service("echo_manager"))
    house.clock.seconds += 60
    house.reconciler._endpoints.put(key_of(SERVICE, echo), "echo-manager", [("echo-manager-0", "127.0.0.1:1")])
    await house.look(echo)
    house.activations.note_use("echo-manager")
    assert house.woken == [key_of(SERVICE, echo)]
    await house.look(echo)
    assert house.runs(echo) and is_true(echo.status.conditions, "Ready")


async def test_to_a_new_conductor_what_runs_was_just_used(house):
    echo = await house.awake(house.service("echo_manager"))
    house.clock.seconds += 600
    house.activations = Activations(house.clock)
    house.reconciler = house.new_reconciler()
    assert (await house.look(echo)).requeue_after == 60 and house.runs(echo)


async def test_who_needs_it_wakes_it_and_keeps_it_awake(house):
    echo = house.service("echo_manager")
    await house.look(echo)
    chat = house.service("chat_manager", activation="always")
    assert list(needed_asleep(chat, house.world.seen, house.managed)) == [key_of(SERVICE, echo)]
    await house.look(chat)
    assert chat.status.phase == "Waiting"
    await house.look(echo)
    assert house.runs(echo)
    await house.look(chat)
    assert house.runs(chat)
    house.clock.seconds += 600
    await house.look(echo)
    assert house.runs(echo)


async def test_who_sleeps_keeps_nobody_awake(house):
    echo, chat = await house.awake(house.service("echo_manager")), house.service("chat_manager")
    await house.awake(chat)
    house.clock.seconds += 60
    for each in (echo, chat, echo):
        await house.look(each)
    assert chat.status.phase == "ScaledToZero" and house.runs(echo), "it was needed until now"
    house.clock.seconds += 60
    await house.look(echo)
    assert echo.status.phase == "ScaledToZero"


async def test_resources_of_its_kinds_keep_it_awake(house):
    keys = house.service("key_manager")
    house.existing.add("keys")
    await house.look(keys)
    assert house.runs(keys)
    house.clock.seconds += 600
    await house.look(keys)
    assert house.runs(keys)
    house.existing.clear()
    house.clock.seconds += 60
    await house.look(keys)
    assert not house.runs(keys)


async def test_one_that_is_not_on_demand_never_sleeps_and_one_that_is_off_is_not_woken(house):
    echo = house.service("echo_manager", activation="always")
    house.clock.seconds += 10_000
    await house.look(echo)
    await house.look(echo)
    assert house.runs(echo)
    off = house.service("chat_manager", enabled=False)
    house.activations.note_use("chat-manager")
    await house.look(off)
    assert off.status.phase == "Disabled" and not house.runs(off)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"image": "x:1", "activation": "onDemand"}, "activation: only a managed service"),
        ({"managed": "echo_manager", "idleSeconds": 1}, "greater than or equal to 10"),
        ({"managed": "echo_manager", "activation": "sometimes"}, "'always' or 'onDemand'"),
    ],
)
def test_what_cannot_sleep_is_refused_in_words(spec, words):
    with pytest.raises(ValueError, match=words):
        ServiceSpec.model_validate(spec)
