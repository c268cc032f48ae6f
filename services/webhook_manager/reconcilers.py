"""The reconcilers: an endpoint has its Secret and says how it stands; a source says where it is posted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from crds.errors import NotFound
from services.sdk.reconcile import AlsoWatch, Outcome, Temporary, World, done
from services.webhook_manager.conditions import EndpointPhase, EndpointReason, SourceReason
from services.webhook_manager.engine import Engine
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT, WebhookEndpoint, WebhookEndpointStatus
from services.webhook_manager.message import Health
from services.webhook_manager.names import inbound_path, secret_name
from services.webhook_manager.signing_secrets import SigningSecrets
from services.webhook_manager.source_kinds import WEBHOOK_SOURCE, WebhookSource
from services.webhook_manager.source_secrets import fault_of, values_of

_LOOK_AGAIN_SECONDS = 15.0


class EndpointReconciler:
    """Enables an endpoint again whose spec was changed since it was disabled."""

    kind = WEBHOOK_ENDPOINT
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, engine: Engine, secrets: SigningSecrets) -> None:
        self._engine, self._secrets = engine, secrets

    async def reconcile(self, resource: WebhookEndpoint, world: World) -> Outcome:
        meta, status, before = resource.metadata, resource.status, resource.status.phase
        uid = meta.uid or ""
        await self._engine.loaded.wait()
        health = self._engine.health(uid)
        if health.disabled_at is not None and health.generation != meta.generation:
            await self._engine.enable(uid)
            health = self._engine.health(uid)
        show_health(status, health, is_enabled=resource.spec.enabled)
        status.secret_name, status.secret_version = secret_name(meta.name), 0
        self._engine.wake(uid)
        until = await self._secrets.ensure(resource)
        status.secret_version = resource.spec.secret_version
        self._record(resource, before, world)
        seconds = None if until is None else max((until - world.clock.now()).total_seconds(), 1.0)
        return done(status.disabled_because, reason=_REASONS[status.phase], requeue_after=seconds)

    async def finalize(self, resource: WebhookEndpoint, world: World) -> Outcome:
        return done()

    def _record(self, resource: WebhookEndpoint, before: str, world: World) -> None:
        disabled, status = EndpointPhase.DISABLED, resource.status
        if status.phase == disabled != before:
            text = f"nothing is sent any more: {status.disabled_because}"
            world.events.record(resource, EndpointReason.DISABLED, text, warning=True)
        elif before == disabled != status.phase:
            world.events.record(resource, EndpointReason.ENABLED, "messages are sent again")


class SourceReconciler:
    """Looks whether its Secret is there."""

    kind = WEBHOOK_SOURCE
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def reconcile(self, resource: WebhookSource, world: World) -> Outcome:
        meta = resource.metadata
        namespace = meta.namespace or "default"
        resource.status.path = inbound_path(namespace, meta.name)
        self._engine.wake(meta.uid or "")
        try:
            found = await values_of(world.resources, resource.spec.secret_name, namespace)
        except NotFound as error:
            raise Temporary(error.message, reason=SourceReason.NO_SECRET, after=_LOOK_AGAIN_SECONDS) from error
        if not found:
            text = f"the Secret {resource.spec.secret_name} is empty"
            raise Temporary(text, reason=SourceReason.NO_SECRET, after=_LOOK_AGAIN_SECONDS)
        if fault := fault_of(resource.spec.provider, found):
            text = f"the Secret {resource.spec.secret_name} {fault}"
            raise Temporary(text, reason=SourceReason.INVALID_SECRET, after=_LOOK_AGAIN_SECONDS)
        return done(reason=SourceReason.RECEIVING)

    async def finalize(self, resource: WebhookSource, world: World) -> Outcome:
        return done()


_REASONS: Mapping[str, EndpointReason] = {
    EndpointPhase.ACTIVE: EndpointReason.SENDING,
    EndpointPhase.FAILING: EndpointReason.SENDING,
    EndpointPhase.PAUSED: EndpointReason.PAUSED,
    EndpointPhase.DISABLED: EndpointReason.DISABLED,
}


def show_health(status: WebhookEndpointStatus, health: Health, *, is_enabled: bool) -> None:
    """Say it in the status."""
    status.failing_since = _moment(health.failing_since)
    status.disabled_at = _moment(health.disabled_at)
    status.disabled_because = health.because
    if health.disabled_at is not None:
        status.phase = EndpointPhase.DISABLED
    elif not is_enabled:
        status.phase = EndpointPhase.PAUSED
    else:
        status.phase = EndpointPhase.ACTIVE if health.failing_since is None else EndpointPhase.FAILING


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)
