"""The secret an operation is about: found by any of its names, with the caller's right to it, and not deleted."""

from __future__ import annotations

from typing import Any

from services.sdk.aws.operations import RequestContext
from services.sdk.resources import Clock
from services.secrets_manager import errors
from services.secrets_manager.authorization import SecretAuthorizer
from services.secrets_manager.envelope import SecretValue
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.names import name_fault
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.secret_store import SecretStore

Json = dict[str, Any]


class SecretAccess:
    """What every operation on a secret begins with."""

    def __init__(self, store: SecretStore, authorizer: SecretAuthorizer, clock: Clock) -> None:
        self.store, self.authorizer, self.clock = store, authorizer, clock

    async def resolve(self, call: RequestContext, request: Json, action: str = "") -> FoundSecret:
        """The secret, also where it is about to be deleted. action: where that is not the operation's name. Raises
        AwsError, Forbidden.
        """
        require_name(request["SecretId"])
        found = await self.store.find(call, request["SecretId"])
        if found is None:
            await self.authorizer.require_named(call, request["SecretId"], request)
            raise errors.not_found()
        await self.authorizer.require(call, found, request, action)
        return found

    async def resolve_live(self, call: RequestContext, request: Json) -> FoundSecret:
        """The secret, if nobody has deleted it. Raises AwsError, Forbidden."""
        return require_live(await self.resolve(call, request))

    async def patch(self, call: RequestContext, found: FoundSecret, spec: Json) -> FoundSecret:
        """Change the secret's spec, in the caller's name where a role allows it."""
        acting = await self.authorizer.resources_for(call, found)
        return self.store.note(await acting.patch(MANAGED_SECRET, found.name, {"spec": spec}, found.namespace))


def require_name(secret_id: str) -> None:
    """Raises AwsError for a SecretId that is neither an ARN nor the name of any secret."""
    if not secret_id.startswith("arn:") and (fault := name_fault(secret_id)):
        raise errors.validation(fault)


def require_live(found: FoundSecret) -> FoundSecret:
    """The secret. Raises AwsError for one that was deleted and can be restored."""
    if found.spec.deletion_date is not None:
        raise errors.marked_for_deletion()
    return found


def value_of(request: Json) -> SecretValue | None:
    """What is to be kept. Raises AwsError where text and bytes are given."""
    text, content = request.get("SecretString"), request.get("SecretBinary")
    if text is not None and content is not None:
        raise errors.invalid_request(
            "You can't specify both a binary secret value and a string secret value in the same secret."
        )
    if text is not None:
        return SecretValue(text.encode())
    return None if content is None else SecretValue(bytes(content), binary=True)


def token_of(request: Json) -> str:
    """The id that a new version gets. SDKs choose one for each request; AwsError for who does not."""
    token = request.get("ClientRequestToken")
    if token is None:
        raise errors.invalid_request("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
    return str(token)


def shown_value(value: SecretValue) -> Json:
    """As answers have it."""
    return {"SecretBinary": value.content} if value.binary else {"SecretString": value.content.decode()}


def identity_of(found: FoundSecret) -> Json:
    """What nearly every answer begins with."""
    return {"ARN": found.arn, "Name": found.label}
