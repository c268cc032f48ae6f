"""Puts logs_manager together: lines on disk, what reads those of instances, what is asked and sent."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor

from services.logs_manager.directory import Directory
from services.logs_manager.errors import as_logs_error
from services.logs_manager.following import Following
from services.logs_manager.loki_api import LokiApi
from services.logs_manager.manifest import MANIFEST
from services.logs_manager.metrics import LogsMetrics
from services.logs_manager.operations import handlers
from services.logs_manager.operations.log_access import Parts, judged_resource
from services.logs_manager.otlp_logs import OtlpLogRoutes
from services.logs_manager.queries import Queries
from services.logs_manager.reconcilers import GroupReconciler
from services.logs_manager.store.log_store import LogStore
from services.logs_manager.store.tables import open_logs
from services.logs_manager.taking import Taking
from services.logs_manager.traces.routes import TraceRoutes
from services.logs_manager.traces.trace_store import FILE as TRACES
from services.logs_manager.traces.trace_store import TraceStore
from services.logs_manager.upkeep import Upkeep
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.app import AwsApp
from services.sdk.aws.authentication import authenticator_for
from services.sdk.aws.model import load_model
from services.sdk.aws.operations import RequestContext
from services.sdk.context import ServiceContext
from services.sdk.group_commit import GroupCommitter, stopped
from services.sdk.health import Check
from services.sdk.service import Service


def create(context: ServiceContext) -> Service:
    """With three threads: one waits for the disk, one answers queries, one reads what is pushed. Raises
    AlreadyServed.
    """
    return assembled(context, *(ThreadPoolExecutor(1, each) for each in ("commit", "query", "read")))


def assembled(context: ServiceContext, disk: Executor, asking: Executor, reading: Executor) -> Service:
    """One store, for all that comes in and is asked. Raises AlreadyServed."""
    file = open_logs(context.data)
    committer = GroupCommitter(file, disk)
    store, directory = LogStore(file, committer, context.data), Directory(context)
    upkeep = Upkeep(store, directory, context.clock)
    LogsMetrics(
        context.metrics.registry,
        lambda: (store.lines_taken, store.bytes_taken, len(store.streams), upkeep.stored),
    )
    spans = open_logs(context.data, TRACES)
    span_committer = GroupCommitter(spans, disk)
    traces = TraceStore(LogStore(spans, span_committer, context.data, TRACES), context.clock)
    queries = Queries(store, directory, context.clock, asking)
    following = Following(context, store, directory)
    aws = AwsApp(
        load_model("logs"),
        handlers(Parts(directory, store, queries, upkeep, CallerAccess(context))),
        authenticator_for(context, MANIFEST.speaks),
        translate=as_logs_error,
        resource_of=_about,
        judged_resource=judged_resource,
    )
    taking = Taking(store, directory, context.clock)
    return Service(
        app=LokiApi(context, queries, taking, reading, aws),
        routes=[OtlpLogRoutes(taking, context.clock, reading), TraceRoutes(context, traces, queries, reading)],
        reconcilers=[GroupReconciler(store, upkeep)],
        checks=[
            Check("instances", lambda: following.fault, essential=False),
            Check("blocks", upkeep.fault, essential=False),
        ],
        tasks=[following.run, upkeep.run, traces.run],
        on_stop=[stopped((committer, span_committer), (reading, asking, disk), (queries, traces, file, spans))],
    )


def _about(call: RequestContext, request: dict[str, object], answer: dict[str, object]) -> str:
    """What is named, for the audit log."""
    said = request.get("resourceArn") or request.get("logGroupName") or request.get("logGroupIdentifier") or ""
    stream = request.get("logStreamName")
    return f"{said}:{stream}" if stream else str(said)
