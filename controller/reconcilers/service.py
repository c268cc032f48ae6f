"""The Service reconciler: needs met, placed, applied by the driver, observed.

Only *starting* waits for needs and for a place: what already runs is never stopped because a neighbour or a worker
went away; it says so in the condition Degraded instead. The composition hands the driver's events to the loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from controller.reconcile.outcome import Outcome, Permanent, Temporary, again, done, waiting
from controller.reconcile.reconciler import AlsoWatch, World
from controller.reconcilers import service_status as status
from controller.reconcilers.service_activation import Activations, Exists, kept_awake, needed_asleep, until_idle
from controller.reconcilers.service_dependencies import affected, dependents, in_words, missing
from controller.reconcilers.service_engine import note_engine, superuser_file, users_of_secret, with_engine
from controller.reconcilers.service_env import EnvMissing, env_of
from controller.reconcilers.service_files import FileMissing, files_of, users_of_config_map
from controller.reconcilers.service_placement import decide, note_data, request_of
from controller.reconcilers.service_volumes import MEASURE_AGAIN_SECONDS, note_volumes, overfull
from controller.reconcilers.service_workload import RuntimeInputs, is_stateful, workload
from controller.runtime.driver import (
    Driver,
    DriverError,
    ObservedInstance,
    SupportsIsolation,
    SupportsVolumes,
    Workload,
)
from controller.runtime.endpoints import Endpoints
from controller.runtime.engines.inputs import ENGINE_REASONS
from controller.scheduler.placing import PlacementDecision, explain
from crds.conditions import ConditionType, Reason
from crds.event_reasons import EventReason
from crds.kind import Kind, key_of
from crds.kinds.config_map import CONFIG_MAP
from crds.kinds.secret import SECRET
from crds.kinds.service import SERVICE, Service
from crds.kinds.service_rules import misplaced
from crds.kinds.worker import WORKER
from crds.managed import ManagedService
from crds.phases import ServicePhase

Environment = Callable[[Service, ManagedService | None], Awaitable[RuntimeInputs]]
Reach = Callable[[Service], frozenset[str] | None]
# The driver's events bring us back sooner; this is for those that got lost.
REQUEUE_SECONDS = 1.0
ROLLED_BACK_SECONDS = 60.0
# A change of endpoints reaches gateways in some milliseconds; a busy machine takes longer.
DRAIN_SECONDS = 0.5
# Somebody may be installing it at this moment; a look costs a few stat calls.
ENGINE_RECHECK_SECONDS = 3.0


class ServiceReconciler:
    """`reach` names the workers the driver can start that service on; None means all. What the driver sees is told
    to `endpoints` at once."""

    kind: Kind[Service] = SERVICE
    finalizer: str | None = "aerekos.cloud/runtime"

    def __init__(
        self,
        driver: Driver,
        managed: Mapping[str, ManagedService],
        environment: Environment,
        reach: Reach = lambda _: None,
        endpoints: Endpoints | None = None,
        activations: Activations | None = None,
        exists: Exists = lambda _: False,
    ) -> None:
        self._driver, self._managed = driver, managed
        self._activations, self._exists = activations, exists
        self._endpoints = endpoints or Endpoints()
        self._environment, self._reach = environment, reach
        self.also_watch: Sequence[AlsoWatch[Any]] = (
            AlsoWatch(
                SERVICE,
                lambda changed, seen: [*dependents(changed, seen, managed), *needed_asleep(changed, seen, managed)],
            ),
            AlsoWatch(WORKER, affected),
            AlsoWatch(SECRET, users_of_secret),
            AlsoWatch(CONFIG_MAP, users_of_config_map),
        )

    async def reconcile(self, resource: Service, world: World) -> Outcome:
        """Raises Permanent for an unknown managed service, Temporary or Permanent as the driver says."""
        manifest = self._manifest(resource, world)
        await self._refuse_misplaced(resource, world)
        resource = with_engine(status.note_ignored(resource, world.clock.now()))
        note_engine(resource)
        try:
            if not resource.spec.enabled or resource.spec.replicas == 0:
                return await self._stop_all(resource, world)
            if resource.spec.on_demand and self._activations is not None:
                return await self._run_on_demand(resource, manifest, self._activations, world)
            return await self._run(resource, manifest, world)
        except DriverError as refused:
            self._note_refused(resource, refused, world)
            raise _as_outcome(refused) from refused

    async def finalize(self, resource: Service, world: World) -> Outcome:
        """The runtime lets go first; only then may the record go."""
        try:
            gone = await self._driver.remove(key_of(SERVICE, resource))
        except DriverError as refused:
            raise _as_outcome(refused) from refused
        self._endpoints.forget(key_of(SERVICE, resource))
        if self._activations is not None:
            self._activations.forget(key_of(SERVICE, resource))
        if gone and resource.spec.engine is not None:
            await self._discard_volumes(resource, world)
        return done() if gone else again(REQUEUE_SECONDS, "instances are stopping", reason=Reason.STOPPING)

    async def _discard_volumes(self, service: Service, world: World) -> None:
        """An engine of that name, made later, begins anew. Raises Temporary."""
        if not isinstance(self._driver, SupportsVolumes):
            return
        try:
            told = await self._driver.discard_volumes(key_of(SERVICE, service))
        except DriverError as refused:
            raise _as_outcome(refused) from refused
        if told:
            world.events.record(service, EventReason.DATA_IN_TRASH, told)

    async def _observe(self, service: Service) -> Sequence[ObservedInstance]:
        key = key_of(SERVICE, service)
        seen = await self._driver.observe(key)
        self._endpoints.report(key, service.metadata.uid or "", seen)
        return seen

    def _manifest(self, service: Service, world: World) -> ManagedService | None:
        name = service.spec.managed
        if name is None or name in self._managed:
            return self._managed.get(name or "")
        known = ", ".join(sorted(self._managed)) or "none"
        message = f"there is no managed service {name!r}; known are: {known}"
        service.status.phase = ServicePhase.FAILED
        status.note(service, ConditionType.READY, False, Reason.UNKNOWN_MANAGED_SERVICE, message, world.clock.now())
        raise Permanent(message, reason=Reason.UNKNOWN_MANAGED_SERVICE)

    async def _refuse_misplaced(self, service: Service, world: World) -> None:
        """A record from before names were kept: what it runs would be taken for the managed service."""
        text = misplaced(service.wire(), frozenset(self._managed))
        if not text:
            return
        await self._driver.remove(key_of(SERVICE, service))
        service.status.phase = ServicePhase.FAILED
        status.note_instances(service, (), service.status.revision, 0)
        status.note(service, ConditionType.READY, False, Reason.NAME_RESERVED, text, world.clock.now())
        raise Permanent(text, reason=Reason.NAME_RESERVED)

    async def _run_on_demand(
        self, service: Service, manifest: ManagedService | None, activations: Activations, world: World
    ) -> Outcome:
        key = key_of(SERVICE, service)
        runs = bool(await self._driver.observe(key))
        kept = kept_awake(service, self._managed, world.seen, self._exists)
        left = activations.seconds_left(service, runs=runs, kept=kept)
        if left:
            return until_idle(await self._run(service, manifest, world), left)
        uid = service.metadata.uid or ""
        if self._endpoints.ready(key, uid):
            # Gateways hear of it first: whoever comes now is held, and wakes it.
            self._endpoints.put(key, uid, ())
            return again(DRAIN_SECONDS, "nobody asks for it, so it goes to sleep", reason=Reason.STOPPING)
        return await self._stop_all(service, world)

    async def _stop_all(self, service: Service, world: World) -> Outcome:
        key, now = key_of(SERVICE, service), world.clock.now()
        gone = await self._driver.remove(key)
        seen = () if gone else await self._observe(service)
        if gone:
            self._endpoints.forget(key)
        status.note_instances(service, seen, service.status.revision, 0)
        service.status.refusals, service.status.missing_dependencies = [], []
        service.status.conditions = [
            each
            for each in service.status.conditions
            if each.type not in (ConditionType.PLACED, ConditionType.DEGRADED)
        ]
        phase = ServicePhase.SCALED_TO_ZERO if service.spec.enabled else ServicePhase.DISABLED
        service.status.phase = phase if gone else ServicePhase.STOPPING
        status.note(service, ConditionType.READY, False, Reason(phase), _stopped_reason(service), now)
        status.note(
            service, ConditionType.PROGRESSING, not gone, Reason.UP_TO_DATE if gone else Reason.STOPPING, "", now
        )
        return done(_stopped_reason(service)) if gone else again(REQUEUE_SECONDS, "instances are stopping")

    async def _run(self, service: Service, manifest: ManagedService | None, world: World) -> Outcome:
        seen = await self._observe(service)
        service.status.missing_dependencies = missing(service, self._managed, world.seen)
        lacking = [in_words(each) for each in service.status.missing_dependencies]
        if lacking and not seen:
            return self._wait(service, ", ".join(lacking), Reason.WAITING_FOR_DEPENDENCIES, world)
        status.note_missing(service, lacking, world.clock.now())
        try:
            files, env = files_of(service, world.seen), env_of(service, world.seen)
            files = (*await superuser_file(service, world), *files)
        except FileMissing as missing_file:
            return self._wait_for_content(service, str(missing_file), Reason.WAITING_FOR_FILES, seen, world)
        except EnvMissing as missing_value:
            return self._wait_for_content(
                service, str(missing_value), Reason.CREATE_CONTAINER_CONFIG_ERROR, seen, world
            )
        decision, text = self._place(service, manifest, world)
        if not decision.chosen and not seen:
            return self._wait(service, f"a worker. {text}", Reason.UNSCHEDULABLE, world)
        try:
            inputs = await self._environment(service, manifest)
        except DriverError as refused:
            if refused.reason not in ENGINE_REASONS:
                raise
            return self._wait_for_engine(service, refused, seen, world)
        if inputs.engine is not None:
            note_engine(service, version=inputs.engine.version, program=inputs.engine.program)
        desired = workload(service, manifest, inputs, _allowed(decision, seen), files, env)
        # A place is only needed for what is not there yet; without one the running copies stay as they are.
        rolled_back = None
        if decision.chosen or len(seen) >= desired.replicas:
            rolled_back = await self._apply(desired)
        now = await self._observe(service)
        if service.spec.image is None and isinstance(self._driver, SupportsIsolation):
            status.note_isolation(service, await self._driver.lacks(), world.clock.now())
        if is_stateful(service, manifest):
            note_data(service, now, world.seen)
        if desired.volumes and any(each.ready for each in now) and isinstance(self._driver, SupportsVolumes):
            note_volumes(service, await self._driver.volume_usage(desired))
            status.note_overfull(service, overfull(service), world.clock.now())
        wanted = status.desired_replicas(service, now, decision)
        if rolled_back is not None:
            return self._report_rolled_back(service, desired, now, wanted, rolled_back, world)
        return self._report(service, desired, now, wanted, text if not decision.chosen else "", world)

    async def _apply(self, desired: Workload) -> str | None:
        """Why the driver rolled this revision back, so that the one before serves on; None when it did not."""
        try:
            await self._driver.apply(desired)
        except DriverError as refused:
            if refused.reason != Reason.ROLLED_BACK:
                raise
            return str(refused)
        return None

    def _place(
        self, service: Service, manifest: ManagedService | None, world: World
    ) -> tuple[PlacementDecision, str]:
        shares = manifest is not None and manifest.keeps_data
        request = request_of(service, self._reach(service), stays=is_stateful(service, manifest), shares_data=shares)
        decision = decide(service, world.seen, request)
        text = explain(request, decision)
        status.note_placed(service, decision, text, world.clock.now())
        return decision, text

    def _wait(self, service: Service, for_: str, reason: str, world: World) -> Outcome:
        wanted = status.desired_replicas(service, ())
        status.note_instances(service, (), service.status.revision, wanted)
        service.status.phase = ServicePhase.WAITING
        now = world.clock.now()
        status.note(service, ConditionType.READY, False, reason, f"waiting for {for_}", now)
        status.note(service, ConditionType.PROGRESSING, False, reason, f"waiting for {for_}", now)
        return waiting(for_, reason=reason)

    def _wait_for_content(
        self, service: Service, what: str, reason: str, seen: Sequence[ObservedInstance], world: World
    ) -> Outcome:
        """Nothing starts without it; what runs, runs on with what it has."""
        if not seen:
            return self._wait(service, what, reason, world)
        status.note_missing(service, [what], world.clock.now())
        status.note_instances(service, seen, service.status.revision, status.desired_replicas(service, seen))
        return waiting(what, reason=reason)

    def _wait_for_engine(
        self, service: Service, refused: DriverError, seen: Sequence[ObservedInstance], world: World
    ) -> Outcome:
        """Looked for again soon, so that it starts once somebody has installed it. What runs, runs on."""
        now = world.clock.now()
        if seen:
            status.note(service, ConditionType.DEGRADED, True, refused.reason, f"it runs on, but {refused}", now)
        else:
            service.status.phase = ServicePhase.WAITING
            for kind in (ConditionType.READY, ConditionType.PROGRESSING):
                status.note(service, kind, False, refused.reason, str(refused), now)
        status.note_instances(service, seen, service.status.revision, status.desired_replicas(service, seen))
        return again(ENGINE_RECHECK_SECONDS, str(refused), reason=refused.reason)

    def _report(
        self,
        service: Service,
        desired: Workload,
        seen: Sequence[ObservedInstance],
        wanted: int,
        unplaced: str,
        world: World,
    ) -> Outcome:
        """`unplaced`: why no copy can be started now; empty when one could."""
        now = world.clock.now()
        phase = status.phase_of(service, seen, desired.revision, wanted)
        text = status.sentence(service, seen, phase, wanted)
        status.note_instances(service, seen, desired.revision, wanted)
        service.status.phase, reason = phase, Reason(phase)
        # While a rollout replaces one copy the others still serve: a service of one ready instance is Ready.
        serving = service.status.ready_replicas >= max(1, wanted - 1)
        well = phase in (ServicePhase.READY, ServicePhase.COMPLETED)
        ok = well or (phase == ServicePhase.UPDATING and serving)
        if unplaced and not well:
            text = f"{text}. {unplaced}"
        status.note(service, ConditionType.READY, ok, reason, text, now)
        status.note(
            service,
            ConditionType.PROGRESSING,
            phase in (ServicePhase.STARTING, ServicePhase.UPDATING),
            reason,
            text,
            now,
        )
        if well:
            return done(text, requeue_after=MEASURE_AGAIN_SECONDS if service.status.volumes else None)
        return again(REQUEUE_SECONDS, text, reason=reason)

    def _report_rolled_back(
        self,
        service: Service,
        desired: Workload,
        seen: Sequence[ObservedInstance],
        wanted: int,
        said: str,
        world: World,
    ) -> Outcome:
        """What was there before serves; that the newest revision was rolled back is reported all the same."""
        now = world.clock.now()
        status.note_instances(service, seen, desired.revision, wanted)
        service.status.phase = _phase_with_a_fault(service)
        status.note(
            service, ConditionType.READY, service.status.ready_replicas >= wanted, Reason.ROLLED_BACK, said, now
        )
        status.note(service, ConditionType.PROGRESSING, False, Reason.ROLLED_BACK, said, now)
        return again(ROLLED_BACK_SECONDS, said, reason=Reason.ROLLED_BACK)

    def _note_refused(self, service: Service, refused: DriverError, world: World) -> None:
        service.status.phase = _phase_with_a_fault(service)
        ok = service.status.ready_replicas > 0 and refused.retryable
        status.note(service, ConditionType.READY, ok, refused.reason, str(refused), world.clock.now())


def _allowed(decision: PlacementDecision, seen: Sequence[ObservedInstance]) -> tuple[str, ...]:
    """Where copies may run; where they are, when no place is left for another. Empty: anywhere."""
    allowed = decision.allowed
    if allowed is None:
        return ()
    return allowed or tuple(sorted({each.worker for each in seen if each.worker}))


def _phase_with_a_fault(service: Service) -> ServicePhase:
    return ServicePhase.DEGRADED if service.status.ready_replicas else ServicePhase.FAILED


def _stopped_reason(service: Service) -> str:
    if service.spec.enabled and service.spec.replicas:
        return "asleep until somebody asks for it"
    return "scaled to zero" if service.spec.enabled else "not enabled"


def _as_outcome(refused: DriverError) -> Temporary | Permanent:
    if refused.retryable:
        return Temporary(str(refused), reason=refused.reason)
    return Permanent(str(refused), reason=refused.reason)
