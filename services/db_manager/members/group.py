"""The members of one Database as they were seen just now, and the step that follows from that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from crds.errors import NotFound
from crds.kinds.service import SERVICE, Service
from crds.kinds.service_engines import superuser_secret
from crds.phases import ServicePhase
from services.db_manager.conditions import DatabaseReason
from services.db_manager.credentials import superuser_password
from services.db_manager.faults import SERVER_FAULTS
from services.db_manager.kinds import Database, Endpoint, Switch
from services.db_manager.member import address_of, endpoint_of, read_address
from services.db_manager.members.configuration import synchronous_names
from services.db_manager.members.failover import Look, Situation, Step, next_step, others_have_all
from services.db_manager.members.looking import Door, MemberLooks
from services.db_manager.members.routes import ROUTES
from services.db_manager.members.sizes import least_sizes
from services.db_manager.members.slots import promote
from services.db_manager.members.standstill import Standstill
from services.db_manager.names import MOST_MEMBERS, member_index, member_name, route_name, slot_name
from services.db_manager.owned import SWITCHOVER_AT, belongs_to, moment_of
from services.db_manager.valkey.server import promote as promote_valkey
from services.sdk.reconcile import Outcome, Temporary, World, again
from services.sdk.resources import Resources

LOOK_AGAIN_SECONDS = 30.0
"""What nobody tells us of: a Secret that was changed, a parameter that the server took."""
SILENT_LOOK_SECONDS = 0.3
"""While nobody takes writes, all are asked more often."""
_AT_ONCE, _LOOK_SECONDS = 0.02, 1.0
_NOTHING = Step("nothing")


@dataclass(frozen=True, slots=True)
class Group:
    """`services`: those that there are, also of members that are not wanted any more. `is_replicated`: there are
    others than the primary. `drops_surplus`: those that are not wanted any more have nothing that the others lack.
    `stands_still`: members that do not follow any more. `least_sizes`: of replicas, by the names of parameters.
    """

    primary: str
    services: Mapping[str, Service]
    looks: Mapping[str, Look] = field(default_factory=dict)
    step: Step = _NOTHING
    is_replicated: bool = False
    drops_surplus: bool = False
    stands_still: tuple[str, ...] = ()
    least_sizes: Mapping[str, str] = field(default_factory=dict)

    @property
    def holds_up(self) -> bool:
        """Whether its primary has to be heard of before anything is done in it."""
        return self.is_replicated and not self.look(self.primary).takes_writes

    @property
    def why(self) -> str:
        """What is waited for."""
        return self.step.because or f"{self.primary} does not answer"

    def look(self, member: str) -> Look:
        return self.looks.get(member, Look())

    def address(self, database: Database, member: str) -> Endpoint | None:
        """Where it answers, or did when it was seen last."""
        found = address_of(self.services[member]) if member in self.services else None
        if found is not None:
            return found
        known = next((each.address for each in database.status.members if each.name == member), "")
        return read_address(known)


@dataclass(slots=True)
class _Memory:
    """`heard`: when the primary answered last; `unanswered`: looks at it since then. `looks`: the last ones before.
    `looked_after`: when all of it was looked after, as it was `seen` then, and with what `outcome`.
    """

    heard: float
    unanswered: int = 0
    password: str = ""
    asks_again: bool = True
    looked_after: float = 0.0
    seen: tuple[object, ...] | None = None
    outcome: Outcome | None = None
    looks: dict[str, Look] = field(default_factory=dict)
    standstill: Standstill = field(default_factory=Standstill)


class Groups:
    """`own`: the service's own resources."""

    def __init__(self, own: Resources, looks: MemberLooks) -> None:
        self._own, self._looks = own, looks
        self._memories: dict[str, _Memory] = {}

    def keep_only(self, uids: Collection[str]) -> None:
        """The others are deleted."""
        self._looks.forget(uids)
        for each in [uid for uid in self._memories if uid not in uids]:
            del self._memories[each]

    async def close(self) -> None:
        await self._looks.close()

    def forget(self, database: Database) -> None:
        """Nothing of it is known: it is stopped."""
        self._memories.pop(database.metadata.uid or "", None)

    async def seen(self, database: Database, world: World) -> Group:
        """Asks all of them, where there is to be more than one. Raises Temporary."""
        services, primary = _services(database, world), database.status.primary
        alone = database.spec.members == 1 and not set(services) - {primary} and database.status.switch is None
        if alone or not database.spec.enabled or database.is_being_restored:
            self.forget(database)
            return Group(primary, services, least_sizes=database.status.replica_parameters)
        uid = database.metadata.uid or ""
        memory = self._memories.setdefault(uid, _Memory(world.clock.monotonic()))
        looks = await self._look(uid, memory, database, services)
        if looks.get(database.status.primary, Look()).answers:
            memory.heard, memory.unanswered = world.clock.monotonic(), 0
        else:
            memory.unanswered += 1
        situation = await self._situation(database, services, looks, memory, world)
        others = [each for each in database.member_names if each != primary]
        sizes = least_sizes(database.status.replica_parameters, primary, others, memory.looks, looks)
        drops = _drops_surplus(database, services, memory.looks, looks)
        memory.looks = looks
        is_replicated = bool(set(services) - {primary})
        still = memory.standstill.note(primary, looks, world.clock.monotonic())
        return Group(primary, services, looks, next_step(situation), is_replicated, drops, still, sizes)

    async def promote(self, database: Database, group: Group, world: World) -> Outcome:
        """Have the member of the step take writes: it is the primary from then on. Raises Temporary."""
        member, at = group.step.member, group.address(database, group.step.member)
        slots = [slot_name(each) for each in group.services if each != member]
        try:
            if at is not None:
                password = self._memories[database.metadata.uid or ""].password
                await (promote_valkey(at, password) if database.is_valkey else promote(at, password, slots))
                self._became_primary(database, member, world)
        except SERVER_FAULTS as error:
            text = f"{member} is to take writes: {str(error) or 'no answer in time'}"
            raise Temporary(text, reason=DatabaseReason.SWITCHING, after=SILENT_LOOK_SECONDS) from error
        return again(_AT_ONCE, f"{member} takes writes", reason=DatabaseReason.SWITCHING)

    def _became_primary(self, database: Database, member: str, world: World) -> None:
        if member != (old := database.status.primary):
            text = f"{member} takes writes in the place of {old}"
            world.events.record(database, DatabaseReason.PRIMARY_CHANGED, text)
        database.status.primary = member
        database.status.switched_at = _wish(database) or database.status.switched_at
        self._over(database, world)

    def rests(self, database: Database, group: Group, world: World) -> Outcome | None:
        """What was found half a minute ago at most, where nothing looks different since."""
        memory = self._memories.get(database.metadata.uid or "")
        if memory is None or memory.seen is None or memory.seen != _appearance(database, group, world):
            return None
        return memory.outcome if world.clock.monotonic() - memory.looked_after < LOOK_AGAIN_SECONDS else None

    def rest(self, database: Database, group: Group, outcome: Outcome, world: World) -> Outcome:
        """All of it was looked after: until something looks different, its servers alone are asked, each second."""
        memory = self._memories.get(database.metadata.uid or "")
        if memory is None or not group.is_replicated or outcome.requeue_after != LOOK_AGAIN_SECONDS:
            return outcome
        memory.outcome = replace(outcome, requeue_after=_LOOK_SECONDS)
        memory.seen, memory.looked_after = _appearance(database, group, world), world.clock.monotonic()
        return memory.outcome

    def take(self, database: Database, group: Group, world: World) -> Outcome | None:
        """Store the step where it is one to be stored: the next pass carries it out. None where there is none."""
        step, status = group.step, database.status
        if step.action == "begin":
            text = f"{status.primary} gives way: {step.because}"
            world.events.record(database, DatabaseReason.SWITCHING, text, warning=True)
            status.switch = Switch(old=status.primary, new=step.member, reason=step.because, since=world.clock.now())
        elif step.action == "choose" and status.switch is not None:
            status.switch = status.switch.model_copy(update={"new": step.member, "promoting": True})
        elif step.action == "cancel":
            self._over(database, world)
        elif step.action == "finish":
            self._became_primary(database, step.member, world)
        else:
            return None
        return again(_AT_ONCE, step.because or f"{step.action} {step.member}", reason=DatabaseReason.SWITCHING)

    def _over(self, database: Database, world: World) -> None:
        database.status.switch = None
        memory = self._memories[database.metadata.uid or ""]
        memory.heard, memory.unanswered = world.clock.monotonic(), 0

    async def _look(
        self, uid: str, memory: _Memory, database: Database, services: Mapping[str, Service]
    ) -> dict[str, Look]:
        found = {name: at for name, service in services.items() if (at := address_of(service)) is not None}
        if not found:
            return {}
        if memory.asks_again:
            primary = database.status.primary
            secret = superuser_secret(primary if primary in services else next(iter(services)))
            memory.password = await superuser_password(self._own, secret, database.metadata.namespace or "default")
            memory.asks_again = False
        doors = {name: Door(at, memory.password, database.is_valkey) for name, at in found.items()}
        looks = await self._looks.look(uid, doors)
        if not looks.get(database.status.primary, Look()).answers:
            memory.asks_again = True  # it may have another password by now, which its replicas have not heard of
        return looks

    async def _situation(
        self,
        database: Database,
        services: Mapping[str, Service],
        looks: Mapping[str, Look],
        memory: _Memory,
        world: World,
    ) -> Situation:
        status, switch = database.status, database.status.switch
        strict, wanted = database.waits_for_another, database.member_names
        # Who is not wanted any more may be the only one that has what was acknowledged last.
        holders = list(dict.fromkeys([*wanted, *services])) if strict else wanted
        holders = [each for each in holders if each != status.primary]
        others = [each for each in holders if each in services]
        return Situation(
            primary=status.primary,
            others=others,
            looks=looks,
            strict=strict,
            behind={each.name: each.lag_bytes for each in status.members if each.lag_bytes is not None},
            silent=world.clock.monotonic() - memory.heard,
            unanswered=memory.unanswered,
            is_down=status.primary not in services or endpoint_of(services[status.primary]) is None,
            wish=_why(database),
            settled=all(memory.looks.get(each, Look()).lsn == looks.get(each, Look()).lsn for each in others),
            fenced=switch is not None and await self._is_gone(database, switch.old),
            old=switch.old if switch else "",
            new=switch.new if switch else "",
            promoting=switch.promoting if switch else False,
            holders=holders,
        )

    async def _is_gone(self, database: Database, member: str) -> bool:
        """Whether none of its processes is left, and none is started: as the conductor says, not our copy."""
        try:
            service = await self._own.get(SERVICE, member, database.metadata.namespace)
        except NotFound:  # its record goes last
            return True
        told = service.status.observed_generation or 0
        up_to_date = not service.spec.enabled and told >= (service.metadata.generation or 0)
        return up_to_date and service.status.phase == ServicePhase.DISABLED and not service.status.instances


def _appearance(database: Database, group: Group, world: World) -> tuple[object, ...]:
    """What has to stay the same, for the Database to need nothing."""
    meta, names = database.metadata, [route_name(database.metadata.name, each) for each in ROUTES]
    routes = [world.seen.get(SERVICE, each, meta.namespace) for each in names]
    looks = sorted((name, look.takes_writes, look.streaming) for name, look in group.looks.items())
    services = [each.metadata.resource_version for each in (*group.services.values(), *filter(None, routes))]
    return (
        meta.generation,
        sorted((meta.annotations or {}).items()),
        services,
        looks,
        group.step,
        group.drops_surplus,
        group.stands_still,
    )


def _drops_surplus(
    database: Database, services: Mapping[str, Service], before: Mapping[str, Look], now: Mapping[str, Look]
) -> bool:
    primary, wanted = database.status.primary, database.member_names
    if not set(services) - {*wanted, primary}:
        return False
    staying = [each for each in wanted if each != primary]
    return others_have_all(primary, staying, before, now, synchronous_names(database, primary))


def _services(database: Database, world: World) -> dict[str, Service]:
    namespace, found = database.metadata.namespace, {}
    for index in range(MOST_MEMBERS):
        service = world.seen.get(SERVICE, member_name(database.metadata.name, index), namespace)
        if service is not None and belongs_to(service, database):
            found[service.metadata.name] = service
    return found


def _why(database: Database) -> str:
    """Why another primary is wanted, though there is nothing wrong with this one."""
    if database.status.primary and member_index(database.status.primary) >= database.spec.members:
        return f"spec.members is {database.spec.members}"
    wish, before = _wish(database), database.status.switched_at
    return f"{SWITCHOVER_AT} is {wish}" if moment_of(wish) > moment_of(before) else ""


def _wish(database: Database) -> str:
    return (database.metadata.annotations or {}).get(SWITCHOVER_AT, "")
