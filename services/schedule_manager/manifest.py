"""The front page of schedule_manager: EventBridge and its Scheduler, for schedules and rules that are resources."""

from __future__ import annotations

from crds.managed import Grant, ManagedService
from services.schedule_manager.events.kinds import EVENT_BUS, EVENT_RULE
from services.schedule_manager.events.names import PRINCIPAL as EVENTS
from services.schedule_manager.kinds import PRINCIPAL, SCHEDULE, SCHEDULE_GROUP

_ALL = ("get", "list", "watch", "create", "update", "patch", "delete")

MANIFEST = ManagedService(
    name="schedule_manager",
    title="Schedules",
    summary="Queues, topics, addresses and AWS operations called at their times or for events, as EventBridge does.",
    create="services.schedule_manager.app:create",
    access_rules="services.schedule_manager.access_rules:RULES",
    kinds=(SCHEDULE, SCHEDULE_GROUP, EVENT_BUS, EVENT_RULE),
    speaks=("scheduler", "events"),
    protocol="rest-json",
    assumes_as=(PRINCIPAL, EVENTS),
    known_as=EVENTS,
    asks=("queue_manager",),
    starts_enabled=True,
    activation="onDemand",
    grants=(
        Grant("schedules", _ALL),
        Grant("schedulegroups", _ALL),
        Grant("eventbuses", _ALL),
        Grant("eventrules", _ALL),
        # Of callers whom policies of IAM alone allow to, it writes the schedules, and has judged the role before.
        Grant("iamroles", ("use",)),
    ),
    acts=(
        Grant("schedules", ("get", "list", "create", "update", "delete")),
        Grant("schedulegroups", ("get", "list", "create", "update", "patch", "delete")),
        Grant("eventbuses", ("get", "list", "create", "update", "patch", "delete", "use")),
        Grant("eventrules", ("get", "list", "create", "update", "patch", "delete")),
        Grant("iamroles", ("use",)),
    ),
    keeps_data=True,
    backup="services.schedule_manager.backup:HOOKS",
)
