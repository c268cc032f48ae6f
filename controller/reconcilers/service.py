"""Service: needs met, placed, told to the driver, seen.

Only *starting* waits for needs and for a place: what already runs is never stopped because a neighbour or a worker
went away; it says so in the condition Degraded instead. The driver's News are the composition's to hand to the loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from controller.loop.outcome import Outcome, Permanent, Temporary, again, done, waiting
from controller.loop.reconciler import AlsoWatch, World
from controller.reconcilers import service_status as status
from controller.reconcilers.service_files import FileMissing, files_of, users_of_config_map, users_of_secret
from controller.reconcilers.service_needs import dependents, missing, not_ready
from controller.reconcilers.service_placing import decide, request_of
from controller.reconcilers.service_workload import Given, stays, workload
from controller.runtime.driver import Driver, DriverError, InstanceSeen, Workload
from controller.scheduler.filtering import SILENT
from controller.scheduler.placing import Decision, explain
from crds.kind import Kind, key_of
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE, Service
from crds.kinds.worker import WORKER
from crds.managed import ManagedService

Environment = Callable[[Service, ManagedService | None], Awaitable[Given]]
Reach = Callable[[Service], frozenset[str] | None]
# The driver's News bring us back sooner; this is for news that got lost.
LOOK_AGAIN_SECONDS = 1.0


class ServiceReconciler:
    """`reach` names the workers the driver can start that service on; None means all."""

    kind: Kind[Service] = SERVICE
    finalizer: str | None = "aerekos.cloud/runtime"

    def __init__(
        self,
        driver: Driver,
        managed: Mapping[str, ManagedService],
        environment: Environment,
        reach: Reach = lambda _: None,
    ) -> None:
        self._driver, self._managed = driver, managed
        self._environment, self._reach = environment, reach
        self.also_watch: Sequence[AlsoWatch[Any]] = (
            AlsoWatch(SERVICE, lambda changed, seen: dependents(changed, seen, managed)),
            AlsoWatch(WORKER, not_ready),
            AlsoWatch(SECRET, users_of_secret),
            AlsoWatch(CONFIG_MAP, users_of_config_map),
        )

    async def reconcile(self, resource: Service, world: World) -> Outcome:
        """Raises Permanent for an unknown managed service, Temporary or Permanent as the driver says."""
        manifest = self._manifest(resource, world)
        try:
            if not resource.spec.enabled or resource.spec.replicas == 0:
                return await self._put_to_rest(resource, world)
            return await self._run(resource, manifest, world)
        except DriverError as refused:
            if refused.reason == "RolledBack":
                seen = await self._driver.observe(key_of(SERVICE, resource))
                status.note_instances(resource, seen, resource.status.revision)
            self._note_refused(resource, refused, world)
            raise _as_outcome(refused) from refused

    async def finalize(self, resource: Service, world: World) -> Outcome:
        """The runtime lets go first; only then may the record go."""
        try:
            gone = await self._driver.forget(key_of(SERVICE, resource))
        except DriverError as refused:
            raise _as_outcome(refused) from refused
        return done() if gone else again(LOOK_AGAIN_SECONDS, "instances are stopping", reason="Stopping")

    def _manifest(self, service: Service, world: World) -> ManagedService | None:
        name = service.spec.managed
        if name is None or name in self._managed:
            return self._managed.get(name or "")
        known = ", ".join(sorted(self._managed)) or "none"
        message = f"there is no managed service {name!r}; known are: {known}"
        service.status.phase = "Failed"
        status.note(service, "Ready", False, "UnknownManagedService", message, world.clock.now())
        raise Permanent(message, reason="UnknownManagedService")

    async def _put_to_rest(self, service: Service, world: World) -> Outcome:
        key, now = key_of(SERVICE, service), world.clock.now()
        gone = await self._driver.forget(key)
        seen = () if gone else await self._driver.observe(key)
        status.note_instances(service, seen, service.status.revision)
        service.status.refusals = []
        service.status.conditions = [
            each for each in service.status.conditions if each.type not in ("Placed", "Degraded")
        ]
        phase = "Disabled" if not service.spec.enabled else "Scaled to zero"
        service.status.phase = phase if gone else "Stopping"
        status.note(service, "Ready", False, phase.title().replace(" ", ""), _at_rest(service), now)
        status.note(service, "Progressing", not gone, "AsWanted" if gone else "Stopping", "", now)
        return done(_at_rest(service)) if gone else again(LOOK_AGAIN_SECONDS, "instances are stopping")

    async def _run(self, service: Service, manifest: ManagedService | None, world: World) -> Outcome:
        seen = await self._driver.observe(key_of(SERVICE, service))
        lacking = missing(service, self._managed, world.seen)
        if lacking and not seen:
            return self._wait(service, ", ".join(lacking), "WaitingForNeeds", world)
        status.note_missing(service, lacking, world.clock.now())
        try:
            files = files_of(service, world.seen)
        except FileMissing as missing_file:
            if not seen:
                return self._wait(service, str(missing_file), "WaitingForFiles", world)
            raise Temporary(f"waiting for {missing_file}", reason="WaitingForFiles") from missing_file
        decision, text = self._place(service, manifest, world)
        # A worker that is only silent stays allowed: the runtime knows by itself whom it has lost, and a wish that
        # changed with every outage would move what need not move.
        silent = tuple(each.worker for each in decision.refusals if each.reason == SILENT)
        workers = decision.chosen + silent or tuple(sorted({each.worker for each in seen if each.worker}))
        if not decision.chosen and not seen:
            return self._wait(service, f"a worker. {text}", "Unplaceable", world)
        given = await self._environment(service, manifest)
        wish = workload(service, manifest, given, workers, files)
        # A place is only needed for what is not there yet; without one the running copies stay as they are.
        if decision.chosen or len(seen) >= wish.replicas:
            await self._driver.apply(wish)
        now = await self._driver.observe(wish.key)
        if stays(service, manifest) and not service.status.data_on:
            service.status.data_on = next((each.worker for each in now if each.ready), "")
        return self._report(service, wish, now, world)

    def _place(self, service: Service, manifest: ManagedService | None, world: World) -> tuple[Decision, str]:
        reach = self._reach(service)
        if service.status.data_on and stays(service, manifest):
            reach = frozenset({service.status.data_on})
        decision = decide(service, world.seen, reach)
        text = explain(request_of(service, reach), decision)
        status.note_placed(service, decision, text, world.clock.now())
        return decision, text

    def _wait(self, service: Service, for_: str, reason: str, world: World) -> Outcome:
        status.note_instances(service, (), service.status.revision)
        service.status.phase = "Waiting"
        now = world.clock.now()
        status.note(service, "Ready", False, reason, f"waiting for {for_}", now)
        status.note(service, "Progressing", False, reason, f"waiting for {for_}", now)
        return waiting(for_, reason=reason)

    def _report(self, service: Service, wish: Workload, seen: Sequence[InstanceSeen], world: World) -> Outcome:
        now = world.clock.now()
        phase = status.phase_of(service, seen, wish.revision)
        text = status.sentence(service, seen, phase)
        status.note_instances(service, seen, wish.revision)
        service.status.phase = phase
        # While a rollout replaces one copy the others still serve: a service of one ready instance is Ready.
        serving = service.status.ready_replicas >= max(1, wish.replicas - 1)
        well = phase in ("Ready", "Completed")
        ok = well or (phase == "Updating" and serving)
        status.note(service, "Ready", ok, phase, text, now)
        status.note(service, "Progressing", phase in ("Starting", "Updating"), phase, text, now)
        return done(text) if well else again(LOOK_AGAIN_SECONDS, text, reason=phase)

    def _note_refused(self, service: Service, refused: DriverError, world: World) -> None:
        service.status.phase = "Degraded" if service.status.ready_replicas else "Failed"
        # What was rolled back serves as it did before; that the newest wish is not fulfilled is told all the same.
        ok = service.status.ready_replicas > 0 and (refused.retryable or refused.reason == "RolledBack")
        status.note(service, "Ready", ok, refused.reason, str(refused), world.clock.now())


def _at_rest(service: Service) -> str:
    return "scaled to zero" if service.spec.enabled else "not enabled"


def _as_outcome(refused: DriverError) -> Temporary | Permanent:
    if refused.retryable:
        return Temporary(str(refused), reason=refused.reason)
    return Permanent(str(refused), reason=refused.reason)
