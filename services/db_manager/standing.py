"""What the status of a Database says: where it stands, who its members are, which parameters are in force."""

from __future__ import annotations

from crds.kinds.service import Service
from crds.meta import Condition, drop_condition, set_condition
from services.db_manager import server
from services.db_manager.conditions import DatabaseCondition, DatabaseReason
from services.db_manager.kinds import Database, MemberStatus
from services.db_manager.member import address_of, endpoint_of, fault_of
from services.db_manager.members.failover import Look
from services.db_manager.members.group import LOOK_AGAIN_SECONDS, Group
from services.db_manager.parameters import configuration_digest
from services.sdk.reconcile import Outcome, World, again, done

SOON_SECONDS = 1.0
_LAG_STEP = 1 << 20


def note_members(database: Database, group: Group) -> None:
    """Who there is. While the primary does not answer, nobody knows what the others lack."""
    known = {each.name: each for each in database.status.members}
    database.status.members = [
        _member(database, group, service, known.get(name)) for name, service in sorted(group.services.items())
    ]


def _member(database: Database, group: Group, service: Service, before: MemberStatus | None) -> MemberStatus:
    name, look, primary = (
        service.metadata.name,
        group.look(service.metadata.name),
        group.look(database.status.primary),
    )
    endpoint, (_, message) = endpoint_of(service), fault_of(service)
    at, follows = address_of(service) if group.is_replicated else endpoint, name != database.status.primary
    known = before if before is not None and group.is_replicated else MemberStatus(name=name)
    lag = _lag(primary, look) if primary.takes_writes else known.lag_bytes
    return MemberStatus(
        name=name,
        role="replica" if follows else "primary" if endpoint or look.takes_writes else "unknown",
        ready=endpoint is not None and database.spec.enabled and (look.in_recovery or not follows),
        address=f"{at.host}:{at.port}" if at else known.address,
        message=message,
        lag_bytes=lag if follows else None,
    )


def _lag(primary: Look, replica: Look) -> int | None:
    """In steps, so that not every look is news. None: it does not follow."""
    if not replica.answers or not replica.streaming:
        return None
    return max(primary.lsn - replica.lsn, 0) // _LAG_STEP * _LAG_STEP


def say_ready(database: Database, group: Group, world: World) -> None:
    """It takes writes, unless they wait for a member to follow."""
    others = [each for each in database.status.members if each.name != database.status.primary]
    missing = [each.name for each in others if each.lag_bytes is None]
    missing += [f"{database.spec.members - 1 - len(others)} more"] if len(others) < database.spec.members - 1 else []
    follows = any(each.lag_bytes is not None for each in others)
    if database.waits_for_another and not follows:
        text = "no other member follows: a commit waits until one does"
        say(database, world, DatabaseCondition.READY, False, DatabaseReason.WRITES_WAIT, text)
    else:
        say(database, world, DatabaseCondition.READY, True, DatabaseReason.AVAILABLE, "")
    if database.spec.members == 1:
        drop_condition(database.status.conditions, DatabaseCondition.REPLICATED)
        return
    reason = DatabaseReason.NOT_FOLLOWING if missing else DatabaseReason.FOLLOWING
    text = f"not following yet, or not any more: {', '.join(missing)}" if missing else ""
    say(database, world, DatabaseCondition.REPLICATED, not missing, reason, text)


def say_switching(database: Database, group: Group, world: World) -> None:
    """It takes no writes: another member is about to, or none may."""
    waits = group.step.action == "wait" and database.status.switch is None
    reason = DatabaseReason.NO_SUCCESSOR if waits else DatabaseReason.SWITCHING
    switch = database.status.switch
    text = group.step.because or (switch.reason if switch else "")
    say(database, world, DatabaseCondition.READY, False, reason, text)


def unavailable(database: Database, service: Service | None, world: World) -> Outcome:
    """Its Service says why; a change of it brings us back."""
    if not database.spec.enabled:
        text = "stopped; set spec.enabled to true to start it again"
        say(database, world, DatabaseCondition.READY, False, DatabaseReason.STOPPED, text)
        return done(text, reason=DatabaseReason.STOPPED)
    reason, message = fault_of(service) if service is not None else ("", "")
    reason, message = reason or DatabaseReason.CREATING, message or "its server is being made"
    say(database, world, DatabaseCondition.READY, False, reason, message)
    alone = database.spec.members == 1  # what members answer is no event of theirs
    return again(LOOK_AGAIN_SECONDS if alone else SOON_SECONDS, message, reason=reason)


def with_parameters(database: Database, facts: server.ServerFacts, configuration: str, world: World) -> Outcome:
    """`configuration`: the text that its primary is to have read."""
    kind, text = DatabaseCondition.PARAMETERS_APPLIED, ""
    database.status.pending_restart = list(facts.pending)
    written = database.parameters_in_file
    if database.is_valkey:  # it is told all of them, each time
        written, database.status.refused_parameters = database.spec.parameters, {}
    if facts.configuration != configuration_digest(configuration):
        text = "the server has not read them yet"
        say(database, world, kind, False, DatabaseReason.APPLYING, text)
        return done(requeue_after=SOON_SECONDS)
    note_refused(database, written, dict(facts.invalid))
    if facts.invalid:
        text = "; ".join(f"{name}: {error}" for name, error in facts.invalid)
        say(database, world, kind, False, DatabaseReason.INVALID_PARAMETERS, text)
        return done(requeue_after=SOON_SECONDS)
    if database.status.refused_parameters:
        say(database, world, kind, False, DatabaseReason.INVALID_PARAMETERS, _refusal(database))
    elif facts.pending:
        text = f"{', '.join(facts.pending)}: after aerekos restart {database.status.primary}"
        say(database, world, kind, False, DatabaseReason.PENDING_RESTART, text)
    else:
        say(database, world, kind, True, DatabaseReason.IN_FORCE, "")
    return done(requeue_after=LOOK_AGAIN_SECONDS)


def note_refused(database: Database, written: dict[str, str], invalid: dict[str, str]) -> None:
    """What the server does not take is not in its file for long: it would not start with it."""
    status, wanted = database.status, database.spec.parameters
    still = {name: value for name, value in status.refused_parameters.items() if wanted.get(name) == value}
    status.refused_parameters = {**still, **{name: wanted[name] for name in invalid if name in wanted}}
    taken = {name: value for name, value in written.items() if name not in invalid}
    before = {name: value for name, value in status.accepted_parameters.items() if written.get(name) != value}
    status.accepted_parameters = {**{name: before[name] for name in invalid if name in before}, **taken}


def _refusal(database: Database) -> str:
    refused = ", ".join(f"{name} = {value}" for name, value in sorted(database.status.refused_parameters.items()))
    return f"the server does not take {refused}: it has what it had before"


def say(database: Database, world: World, kind: str, stands: bool, reason: str, message: str) -> None:
    """Set one of its conditions."""
    new = Condition(
        type=kind,
        status="True" if stands else "False",
        reason=reason,
        message=message,
        observed_generation=database.metadata.generation,
    )
    set_condition(database.status.conditions, new, now=world.clock.now())
