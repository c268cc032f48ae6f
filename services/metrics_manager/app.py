"""Puts metrics_manager together: samples on disk, what scrapes, what is asked, who is told."""

from __future__ import annotations

import secrets
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

from crds.kinds.namespace import NAMESPACE
from services.metrics_manager.alert_reconcilers import ChannelReconciler, RuleReconciler, SilenceReconciler
from services.metrics_manager.alert_routes import AlertRoutes
from services.metrics_manager.alerts.book import AlertBook
from services.metrics_manager.alerts.evaluating import Evaluator
from services.metrics_manager.alerts.notifying import Notifier
from services.metrics_manager.alerts.sending import ChannelSender
from services.metrics_manager.cloudwatch.alarm_actions import AlarmActions
from services.metrics_manager.cloudwatch.alarm_book import AlarmBook
from services.metrics_manager.cloudwatch.alarm_evaluating import AlarmEvaluator
from services.metrics_manager.cloudwatch.alarm_operations import AlarmOperations
from services.metrics_manager.cloudwatch.alarm_reconciler import AlarmReconciler
from services.metrics_manager.cloudwatch.errors import as_cloudwatch_error
from services.metrics_manager.cloudwatch.metric_operations import MetricOperations
from services.metrics_manager.manifest import MANIFEST
from services.metrics_manager.metrics import MetricsMetrics
from services.metrics_manager.otlp_routes import OtlpRoutes
from services.metrics_manager.prometheus_api import PrometheusApi
from services.metrics_manager.queries import Queries
from services.metrics_manager.reconcilers import TargetReconciler
from services.metrics_manager.scrape_loop import ScrapeLoop
from services.metrics_manager.store.sample_store import SampleStore
from services.metrics_manager.store.tables import open_metrics
from services.metrics_manager.upkeep import Upkeep
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.app import AwsApp
from services.sdk.aws.authentication import authenticator_for
from services.sdk.aws.model import load_model
from services.sdk.aws.pagination import PageTokens
from services.sdk.aws.signing_names import BySigningName
from services.sdk.context import ServiceContext
from services.sdk.group_commit import GroupCommitter, stopped
from services.sdk.outbound import OutboundHttp, allows_private, open_outbound
from services.sdk.service import Service


def create(context: ServiceContext) -> Service:
    """With three threads: one waits for the disk, one answers queries, one computes rules. Raises AlreadyServed."""
    disk, computing = ThreadPoolExecutor(1, "commit"), ThreadPoolExecutor(1, "query")
    return assembled(context, OutboundHttp(open_outbound()), disk, computing, ThreadPoolExecutor(1, "rules"))


def assembled(
    context: ServiceContext, outbound: OutboundHttp, disk: Executor, computing: Executor, ruling: Executor
) -> Service:
    """One store, for all that comes in and is asked. Raises AlreadyServed."""
    file = open_metrics(context.data)
    committer = GroupCommitter(file, disk)
    store = SampleStore(file, committer, context.data)
    MetricsMetrics(context.metrics.registry, lambda: (len(store.index), store.in_memory, store.size))
    private = partial(allows_private, context.informer(NAMESPACE))
    queries, book = Queries(store, computing), AlertBook(file, committer)
    sender = ChannelSender(context, outbound, private)
    notifier = Notifier(context, book, sender, lambda: evaluator.evaluated_at)
    rules = Queries(store, ruling)
    evaluator = Evaluator(context, rules, book, notifier)
    loop = ScrapeLoop(context, store, outbound, private, evaluator.soon)
    alarm_book = AlarmBook(file, committer)
    alarms = AlarmEvaluator(context, rules, alarm_book)
    actions = AlarmActions(context, alarm_book, context.service_client("queue-manager"))
    prometheus = PrometheusApi(context, store, queries, loop, evaluator, book)
    return Service(
        app=BySigningName(prometheus, {"monitoring": _cloudwatch(context, store, queries, alarms, alarm_book)}),
        routes=[AlertRoutes(context, evaluator, book, notifier, sender), OtlpRoutes(context, store)],
        reconcilers=[
            TargetReconciler(loop),
            RuleReconciler(evaluator, book),
            ChannelReconciler(notifier),
            SilenceReconciler(),
            AlarmReconciler(alarm_book, alarms),
        ],
        tasks=[
            loop.run,
            evaluator.run,
            evaluator.run_theirs,
            notifier.run,
            alarms.run,
            actions.run,
            Upkeep(store, context.clock).run,
        ],
        on_stop=[stopped([committer], (computing, ruling, disk), (queries, rules, file))],
    )


def _cloudwatch(
    context: ServiceContext, store: SampleStore, queries: Queries, alarms: AlarmEvaluator, book: AlarmBook
) -> AwsApp:
    access = CallerAccess(context)
    # A list is not read over a restart: then it is begun again.
    tokens = PageTokens(secrets.token_bytes(32))
    return AwsApp(
        load_model("cloudwatch"),
        [
            MetricOperations(store, queries, access, tokens, context.clock),
            AlarmOperations(context, alarms, book, access, tokens),
        ],
        authenticator_for(context, MANIFEST.speaks),
        translate=as_cloudwatch_error,
    )
