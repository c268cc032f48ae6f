"""Puts schedule_manager together: store, engine, operations, and the APIs of EventBridge and its Scheduler."""

from __future__ import annotations

from services.schedule_manager.calling import OutsideCaller
from services.schedule_manager.delivery import Caller, Delivery
from services.schedule_manager.directory import Directory, judged_resource
from services.schedule_manager.engine import Engine
from services.schedule_manager.errors import as_scheduler_error
from services.schedule_manager.events.directory import EventDirectory, judged_event_resource
from services.schedule_manager.events.errors import as_event_error
from services.schedule_manager.events.names import PRINCIPAL as EVENTS
from services.schedule_manager.events.operations import event_handlers
from services.schedule_manager.events.planning import name_of_target
from services.schedule_manager.events.plans import is_of_rule
from services.schedule_manager.events.reconcilers import BusReconciler, RuleReconciler
from services.schedule_manager.events.routing import Routing
from services.schedule_manager.forgetting import Forgetting
from services.schedule_manager.kinds import PRINCIPAL
from services.schedule_manager.manifest import MANIFEST
from services.schedule_manager.metrics import ScheduleMetrics
from services.schedule_manager.operations import handlers
from services.schedule_manager.passing import PassedRole
from services.schedule_manager.reconciler import GroupReconciler, ScheduleReconciler, delete_completed
from services.schedule_manager.routes import ScheduleRoutes
from services.schedule_manager.schedule_store import FILE, Planned, ScheduleStore
from services.sdk.aws.app import AwsApp
from services.sdk.aws.authentication import authenticator_for
from services.sdk.aws.model import load_model
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.role_calls import OwnCalls, RoleCalls
from services.sdk.aws.signing_names import BySigningName
from services.sdk.context import ServiceContext
from services.sdk.outbound import open_outbound
from services.sdk.resources import Backoff, BlockingExecutor, Threads
from services.sdk.routes import Request
from services.sdk.service import Service

RETRIES = Backoff(first=2.0, factor=2.0, limit=900.0, jitter=0.2)


def create(context: ServiceContext) -> Service:
    """With calls over the network, where certificates are the system's."""
    own = OwnCalls(context.service_client("queue-manager"), {"sqs": "/", "sns": "/sns"})
    outside = OutsideCaller(RoleCalls(context, PRINCIPAL), RoleCalls(context, EVENTS), own, open_outbound())
    return assembled(context, outside, Threads(1))


def assembled(context: ServiceContext, caller: Caller, threads: BlockingExecutor) -> Service:
    """One store, for the engine and the reconciler."""
    store, directory, events = ScheduleStore(context.data / FILE), Directory(context), EventDirectory(context)

    def name_of(plan: Planned) -> str | None:
        """Until all were listed, whatever is in the store counts: a deleted one may be called once more."""
        if is_of_rule(plan.uid):
            return name_of_target(events.rules, plan.uid)
        found = directory.schedules.by_uid(plan.uid)
        if found is not None:
            return found.metadata.name
        return None if directory.schedules.listed else ""

    async def completed(plan: Planned) -> None:
        if (found := directory.schedules.by_uid(plan.uid)) is not None:
            await delete_completed(found, plan, context.resources)

    async def close() -> None:
        store.close()

    metrics = ScheduleMetrics(context.metrics.registry)
    engine = Engine(store, Delivery(caller), context.clock, threads, metrics, name_of, completed, RETRIES)
    routing = Routing(events, store, threads, engine.wake)
    authenticator, passing = authenticator_for(context, MANIFEST.speaks), PassedRole(context)
    app = AwsApp(
        load_model("scheduler"),
        handlers(context, directory),
        authenticator,
        translate=as_scheduler_error,
        resource_of=_about,
        judged_resource=judged_resource,
    )
    bus_app = AwsApp(
        load_model("events"),
        event_handlers(context, events, routing),
        authenticator,
        translate=as_event_error,
        resource_of=_about_events,
        judged_resource=judged_event_resource,
    )

    async def require_role(request: Request, role_arn: str) -> None:
        await passing.require_of(request, role_arn, authenticator.policies_of)

    return Service(
        app=BySigningName(app, {"events": bus_app}),
        routes=[ScheduleRoutes(directory, store, threads, context.clock, engine.wake, require_role)],
        reconcilers=[
            ScheduleReconciler(store, threads, engine.wake),
            GroupReconciler(),
            RuleReconciler(store, threads, engine.wake),
            BusReconciler(),
        ],
        tasks=[engine.run, Forgetting(store, (directory.schedules, events.rules), threads).run],
        on_stop=[close],
    )


def _about(call: RequestContext, request: dict[str, object], answer: dict[str, object]) -> str:
    """The ARN in the answer, for the audit log."""
    found = answer.get("ScheduleArn") or answer.get("ScheduleGroupArn") or answer.get("Arn")
    return str(found or request.get("ResourceArn") or request.get("Name") or "")


def _about_events(call: RequestContext, request: dict[str, object], answer: dict[str, object]) -> str:
    """As `_about`, of EventBridge."""
    found = answer.get("RuleArn") or answer.get("EventBusArn") or answer.get("Arn") or request.get("ResourceARN")
    return str(found or request.get("Rule") or request.get("Name") or "")
