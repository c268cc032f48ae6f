"""Kinds of this service: sources whose messages are taken in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from crds.invariants import Transition, on, spec_of
from crds.kind import Column, Kind, Resource
from crds.lent_rights import LentRight
from crds.meta import Spec, Status
from crds.model import Model
from crds.passed_roles import PassedRoles
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import parse_arn
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT

PRINCIPAL = "events.amazonaws.com"
Provider = Literal["GitHub", "Stripe", "Slack", "StandardWebhooks"]


class QueueTarget(Model):
    """`arn`: of the queue. `roleArn`: the IAM role under which messages are sent to it, which trusts
    `events.amazonaws.com`. `messageGroupId`: for FIFO queues, where the message's id is the deduplication id.
    """

    arn: Annotated[str, Field(min_length=1, max_length=1600)]
    role_arn: Annotated[str, Field(min_length=1, max_length=1600)]
    message_group_id: Annotated[str, Field(max_length=128)] = ""

    @model_validator(mode="after")
    def _can_be_sent_to(self) -> Self:
        queue, role = parse_arn(self.arn), parse_arn(self.role_arn)
        if queue is None or queue.service != "sqs" or not queue.region or not queue.account:
            raise ValueError("arn: must be arn:aws:sqs:REGION:ACCOUNT:QUEUE")
        if role is None or role.service != "iam" or not role.account or role.kind != "role":
            raise ValueError("roleArn: must be arn:aws:iam::ACCOUNT:role/NAME")
        if queue.resource.endswith(".fifo") != bool(self.message_group_id):
            raise ValueError("messageGroupId: FIFO queues need one, others take none")
        return self


class WebhookSourceSpec(Spec):
    """`provider`: how its messages are signed. `secretName`: a Secret of the type `aerekos.cloud/webhook` in this
    namespace; each of its values proves a message, so that two can hold while one takes the other's place. `queue` or
    `endpoint` (a WebhookEndpoint of this namespace): where messages go to.
    """

    provider: Provider
    secret_name: Annotated[str, Field(min_length=1, max_length=253)]
    description: Annotated[str, Field(max_length=512)] = ""
    enabled: bool = True
    queue: QueueTarget | None = None
    endpoint: Annotated[str, Field(max_length=253)] = ""

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if (self.queue is None) == (not self.endpoint):
            raise ValueError("queue: say either a queue or an endpoint")
        return self


class WebhookSourceStatus(Status):
    """`path`: where messages are posted to, at the cloud's own address."""

    path: str = ""


class WebhookSource(Resource[WebhookSourceSpec, WebhookSourceStatus]):
    spec: WebhookSourceSpec
    status: WebhookSourceStatus = Field(default_factory=WebhookSourceStatus)


@on("create", "update")
def has_a_role_of_its_account(transition: Transition) -> None:
    """A role of another account would have to trust somebody it cannot tell from others."""
    queue = spec_of(transition.after).get("queue")
    role = parse_arn(str(queue.get("roleArn") or "")) if isinstance(queue, dict) else None
    account = account_of(transition.key.namespace)
    if role is not None and role.account != account:
        raise transition.invalid("spec.queue.roleArn", f"must be a role of the source's own account, {account}")


def _roles(spec: Mapping[str, Any]) -> list[str]:
    queue = spec.get("queue")  # as it was sent: nothing is proven of it yet
    arn = str(queue.get("roleArn") or "") if isinstance(queue, Mapping) else ""
    return [arn.rpartition("/")[2]] if arn else []


def _uses(spec: Mapping[str, Any]) -> list[LentRight]:
    """What is sent through an endpoint is signed with its secret."""
    name = spec.get("endpoint")
    return [LentRight("use", WEBHOOK_ENDPOINT.plural, name)] if isinstance(name, str) and name else []


def _target(source: dict[str, Any]) -> str:
    spec = source.get("spec") or {}
    return str((spec.get("queue") or {}).get("arn") or spec.get("endpoint") or "")


WEBHOOK_SOURCE = Kind(
    name="WebhookSource",
    plural="webhooksources",
    singular="webhooksource",
    short_names=("whs",),
    categories=("all",),
    model=WebhookSource,
    description="Somebody whose signed messages are taken in, and put into a queue or sent on.",
    invariants=(has_a_role_of_its_account,),
    passes=PassedRoles(PRINCIPAL, _roles, harmless=frozenset({"description"})),
    lends=_uses,
    columns=(
        Column("Name", "metadata.name"),
        Column("Provider", "spec.provider"),
        Column("Target", "spec.queue.arn", read=_target),
        Column("Path", "status.path"),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
