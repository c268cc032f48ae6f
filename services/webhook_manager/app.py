"""Puts webhook_manager together: the messages on disk, the engine that sends them, the APIs in and out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from crds.errors import ApiError
from services.sdk.aws.role_calls import RoleCalls
from services.sdk.context import ServiceContext
from services.sdk.group_commit import GroupCommitter, stopped
from services.sdk.outbound import open_outbound
from services.sdk.service import Service
from services.webhook_manager.directory import Directory
from services.webhook_manager.engine import Engine, Sender
from services.webhook_manager.event_feed import EventFeed
from services.webhook_manager.inbound import InboundRoutes
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT, WebhookEndpointStatus
from services.webhook_manager.message_store import open_messages
from services.webhook_manager.metrics import WebhookMetrics
from services.webhook_manager.outbox import Outbox
from services.webhook_manager.reconcilers import EndpointReconciler, SourceReconciler, show_health
from services.webhook_manager.room import Room
from services.webhook_manager.routes import WebhookRoutes
from services.webhook_manager.sending import OutsideSender
from services.webhook_manager.signing_secrets import SigningSecrets
from services.webhook_manager.source_kinds import PRINCIPAL
from services.webhook_manager.source_secrets import SourceSecrets
from services.webhook_manager.sweeping import Sweeping

MakeSender = Callable[[Directory, SigningSecrets], Sender]


def create(context: ServiceContext) -> Service:
    """With calls over the network, where certificates are the system's, and a thread that waits for the disk."""

    def sender(directory: Directory, secrets: SigningSecrets) -> Sender:
        calls = RoleCalls(context, PRINCIPAL)
        return OutsideSender(directory, secrets, calls, open_outbound(), context.clock)

    return assembled(context, sender, ThreadPoolExecutor(1, "commit"))


def assembled(context: ServiceContext, make_sender: MakeSender, thread: Executor) -> Service:
    """One store, for all that comes in and goes out. Raises AlreadyServed."""
    clock, own, metrics = context.clock, context.resources, WebhookMetrics(context.metrics.registry)
    file = open_messages(context.data)
    committer, directory = GroupCommitter(file, thread), Directory(context)
    secrets = SigningSecrets(own, clock)
    engine = Engine(
        committer,
        make_sender(directory, secrets),
        directory,
        clock,
        metrics,
        lambda uid: _show_health(context, directory, engine, uid),
    )
    room, source_secrets = Room(committer, clock, directory.near, context.data), SourceSecrets(own, clock)
    outbox = Outbox(committer, room, clock, engine.wake)
    for forget in (secrets.forget, source_secrets.forget, room.forget):
        directory.on_deleted(forget)
    return Service(
        routes=[
            WebhookRoutes(directory, committer, outbox, room, engine, clock),
            InboundRoutes(directory, source_secrets, outbox, clock, metrics),
        ],
        reconcilers=[EndpointReconciler(engine, secrets), SourceReconciler(engine)],
        tasks=[
            engine.run,
            Sweeping(committer, directory, engine, clock).run,
            EventFeed(own, committer, directory, outbox, clock).run,
        ],
        on_stop=[stopped([committer], [thread], [file])],
    )


async def _show_health(context: ServiceContext, directory: Directory, engine: Engine, uid: str) -> None:
    """Have the endpoint looked at again, which says how it stands. What cannot be written now is told at the next
    look.
    """
    endpoint = directory.endpoints.by_uid(uid)
    if endpoint is None:
        return
    seen = WebhookEndpointStatus()
    show_health(seen, engine.health(uid), is_enabled=endpoint.spec.enabled)
    shown = {"failing_since", "disabled_at", "disabled_because"}
    if engine.is_held(uid):
        shown.add("secret_version")  # 0: nothing signs
    told = seen.model_dump(mode="json", by_alias=True, include=shown)
    meta = endpoint.metadata
    try:
        await context.resources.patch(
            WEBHOOK_ENDPOINT, meta.name, {"status": told}, meta.namespace, subresource="status"
        )
    except ApiError:
        return
