"""The front page of webhook_manager: signed messages to addresses, and from others into queues."""

from __future__ import annotations

from crds.managed import Grant, ManagedService, PublicPath
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT
from services.webhook_manager.names import INBOUND
from services.webhook_manager.source_kinds import PRINCIPAL, WEBHOOK_SOURCE

_LOOKED_AFTER = ("get", "list", "watch", "patch", "update")

MANIFEST = ManagedService(
    name="webhook_manager",
    title="Webhooks",
    summary="Messages sent to addresses, signed and repeated until taken; those of others put into queues.",
    create="services.webhook_manager.app:create",
    kinds=(WEBHOOK_ENDPOINT, WEBHOOK_SOURCE),
    assumes_as=(PRINCIPAL,),
    public=(PublicPath("POST", INBOUND),),
    starts_enabled=True,
    activation="onDemand",
    grants=(
        Grant("webhookendpoints", _LOOKED_AFTER),
        Grant("webhooksources", _LOOKED_AFTER),
        Grant("secrets", ("get", "create", "update"), group=""),
    ),
    acts=(Grant("webhookendpoints", ("get", "list", "patch", "use")), Grant("webhooksources", ("get", "patch"))),
    keeps_data=True,
    backup="services.webhook_manager.backup:HOOKS",
)
