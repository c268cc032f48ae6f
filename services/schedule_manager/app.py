"""Puts schedule_manager together: store, engine, operations, and the EventBridge Scheduler API."""

from __future__ import annotations

from services.schedule_manager.calling import OutsideCaller
from services.schedule_manager.delivery import Caller, Delivery
from services.schedule_manager.directory import Directory, judged_resource
from services.schedule_manager.engine import Engine
from services.schedule_manager.errors import as_scheduler_error
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
from services.sdk.aws.role_calls import RoleCalls
from services.sdk.context import ServiceContext
from services.sdk.outbound import open_outbound
from services.sdk.resources import Backoff, BlockingExecutor, Threads
from services.sdk.routes import Request
from services.sdk.service import Service

RETRIES = Backoff(first=2.0, factor=2.0, limit=900.0, jitter=0.2)


def create(context: ServiceContext) -> Service:
    """With calls over the network, where certificates are the system's."""
    outside = OutsideCaller(RoleCalls(context, PRINCIPAL), open_outbound())
    return assembled(context, outside, Threads(1))


def assembled(context: ServiceContext, caller: Caller, threads: BlockingExecutor) -> Service:
    """One store, for the engine and the reconciler."""
    store, directory = ScheduleStore(context.data / FILE), Directory(context)

    def name_of(plan: Planned) -> str | None:
        """Until all were listed, whatever is in the store counts: a deleted one may be called once more."""
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
    authenticator, passing = authenticator_for(context, MANIFEST.speaks), PassedRole(context)
    app = AwsApp(
        load_model("scheduler"),
        handlers(context, directory),
        authenticator,
        translate=as_scheduler_error,
        resource_of=_about,
        judged_resource=judged_resource,
    )

    async def require_role(request: Request, role_arn: str) -> None:
        await passing.require_of(request, role_arn, authenticator.policies_of)

    return Service(
        app=app,
        routes=[ScheduleRoutes(directory, store, threads, context.clock, engine.wake, require_role)],
        reconcilers=[ScheduleReconciler(store, threads, engine.wake), GroupReconciler()],
        tasks=[engine.run, Forgetting(store, directory.schedules, threads).run],
        on_stop=[close],
    )


def _about(call: RequestContext, request: dict[str, object], answer: dict[str, object]) -> str:
    """The ARN in the answer, for the audit log."""
    found = answer.get("ScheduleArn") or answer.get("ScheduleGroupArn") or answer.get("Arn")
    return str(found or request.get("ResourceArn") or request.get("Name") or "")
