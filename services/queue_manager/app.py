"""Puts queue_manager together: the messages on disk and in memory, the operations, the APIs of SQS and SNS."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

import anyio

from services.queue_manager.attribution import queue_of, topic_of
from services.queue_manager.authorization import QueueAuthorizer
from services.queue_manager.broker import Broker
from services.queue_manager.database import MessageDatabase
from services.queue_manager.directory import QueueDirectory
from services.queue_manager.envelopes import Envelopes
from services.queue_manager.errors import as_sqs_error
from services.queue_manager.http_subscriptions import HttpSubscriptions
from services.queue_manager.looking import LookingRoutes
from services.queue_manager.manifest import MANIFEST
from services.queue_manager.metrics import QueueMetrics
from services.queue_manager.move_tasks import MoveTasks
from services.queue_manager.operations import handlers
from services.queue_manager.operations.queue_access import QueueAccess
from services.queue_manager.reconciler import QueueReconciler
from services.queue_manager.sns_routes import Confirming, SnsRoutes
from services.queue_manager.sns_signing import Key, SigningKey, open_signing_key
from services.queue_manager.sqs_model import sqs_model
from services.queue_manager.topic_names import topic_arn
from services.queue_manager.topic_operations import topic_handlers
from services.queue_manager.topic_operations.topic_access import TopicAccess, as_sns_error
from services.queue_manager.topic_reconciler import TopicReconciler
from services.queue_manager.topics import Topics
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.app import AwsApp
from services.sdk.aws.authentication import authenticator_for
from services.sdk.aws.model import load_model
from services.sdk.aws.pagination import PageTokens
from services.sdk.aws.signing_names import BySigningName
from services.sdk.context import ServiceContext
from services.sdk.group_commit import GroupCommitter, stopped
from services.sdk.outbound import OutboundHttp, open_outbound
from services.sdk.service import Service


def create(context: ServiceContext) -> Service:
    """With a thread of its own for what waits for the disk."""
    clock = context.clock
    http = OutboundHttp(open_outbound())
    return assembled(context, ThreadPoolExecutor(1, "commit"), lambda: int(clock.now().timestamp() * 1000), http)


def assembled(context: ServiceContext, thread: Executor, now: Callable[[], int], http: OutboundHttp) -> Service:
    """One broker, for the operations and the reconciler. now: in milliseconds. Raises AlreadyServed."""
    database = MessageDatabase(context.data)
    committer = GroupCommitter(database, thread)
    broker = Broker(database, committer, now)
    directory = QueueDirectory(context, broker)
    QueueMetrics(context.metrics.registry, directory.depths)
    authorizer = QueueAuthorizer(CallerAccess(context), context)
    # A list is not read over a restart: then it is begun again.
    access = QueueAccess(directory, broker, authorizer, PageTokens(secrets.token_bytes(32)))
    moving = MoveTasks(directory, broker)
    authenticator = authenticator_for(context, MANIFEST.speaks)
    app = AwsApp(
        sqs_model(),
        handlers(access, moving),
        authenticator,
        protocols=("json", "query"),
        translate=as_sqs_error,
        resource_of=queue_of,
    )
    key = _signing_key(context, thread)

    async def envelopes() -> Envelopes:
        return Envelopes(await key(), context.api)

    topics = Topics(context, directory, broker, envelopes)
    addresses = HttpSubscriptions(context, topics, broker, http, key, envelopes)
    confirming = Confirming(topics, key, context.clock)
    publishing = TopicAccess(topics, QueueAuthorizer(CallerAccess(context), context, topic_arn), access.tokens)
    sns = AwsApp(
        load_model("sns"),
        topic_handlers(publishing, addresses, confirming),
        authenticator,
        translate=as_sns_error,
        resource_of=topic_of,
    )
    looking = LookingRoutes(directory, broker, topics, addresses, authorizer, authenticator.policies_of)
    return Service(
        app=BySigningName(app, {"sns": sns}),
        routes=[SnsRoutes(topics, confirming, key), looking],
        reconcilers=[QueueReconciler(directory, broker), TopicReconciler(topics)],
        tasks=[moving.run, broker.give_back_space, addresses.run],
        on_stopping=[broker.stop],
        on_stop=[stopped([committer], [thread], [database])],
    )


def _signing_key(context: ServiceContext, thread: Executor) -> Key:
    """Read, or made, when it is first needed."""
    lock, known = anyio.Lock(), list[SigningKey]()

    async def key() -> SigningKey:
        async with lock:
            if not known:
                opened = partial(open_signing_key, context.data, context.clock.now())
                known.append(await asyncio.get_running_loop().run_in_executor(thread, opened))
        return known[0]

    return key
