"""Secrets Manager operations about secrets themselves: create, describe, update.

Source: AWS Secrets Manager API reference, CreateSecret, DescribeSecret, UpdateSecret.
"""

from __future__ import annotations

from typing import Any

from crds.errors import AlreadyExists
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.resource_names import resource_name
from services.sdk.resources import Resources
from services.secrets_manager import errors
from services.secrets_manager.kinds import MANAGED_SECRET, ManagedSecretSpec
from services.secrets_manager.names import name_fault
from services.secrets_manager.operations.secret_access import SecretAccess, identity_of, token_of, value_of
from services.secrets_manager.operations.tags import wanted_tags
from services.secrets_manager.secret import FoundSecret, stages_of
from services.secrets_manager.stages import CURRENT, PENDING, PREVIOUS
from services.secrets_manager.views import described

Json = dict[str, Any]
CREATION_TOKEN = "aerekos.cloud/creation-token"  # noqa: S105 - an annotation's name
_CREATE = ("Name", "ClientRequestToken", "Description", "KmsKeyId", "SecretBinary", "SecretString", "Tags")
_UPDATE = ("SecretId", "ClientRequestToken", "Description", "KmsKeyId", "SecretBinary", "SecretString")
_RESEALED = frozenset({CURRENT, PREVIOUS, PENDING})


class SecretOperations:
    """One declared method per operation."""

    def __init__(self, secrets: SecretAccess) -> None:
        self._secrets = secrets

    @operation("CreateSecret", permission=("create", MANAGED_SECRET), understands=_CREATE)
    async def create_secret(self, call: RequestContext, request: Json) -> Json:
        name, value = request["Name"], value_of(request)
        token = token_of(request)
        acting = await self._secrets.authorizer.require_named(call, name, request)
        if fault := name_fault(name):
            raise errors.validation(fault)
        found = await self._created(call, acting, request, token)
        if value is None:
            return identity_of(found)
        try:
            found = await self._secrets.store.put(found, token, value, caller=call.caller)
        except AwsError:
            if not found.versions:  # a secret without its value is not what was asked for
                await self._secrets.store.delete(found)
            raise
        return {**identity_of(found), "VersionId": token}

    @operation("DescribeSecret", permission=("get", MANAGED_SECRET), understands=("SecretId",))
    async def describe_secret(self, call: RequestContext, request: Json) -> Json:
        return described(await self._secrets.resolve(call, request))

    @operation("UpdateSecret", permission=("patch", MANAGED_SECRET), understands=_UPDATE)
    async def update_secret(self, call: RequestContext, request: Json) -> Json:
        value = value_of(request)
        token = token_of(request)
        found = await self._secrets.resolve_live(call, request)
        spec = {
            field: request[member]
            for member, field in (("Description", "description"), ("KmsKeyId", "kmsKeyId"))
            if member in request
        }
        if spec.get("kmsKeyId", found.spec.kms_key_id) != found.spec.kms_key_id:
            await self._reseal(call, found, spec["kmsKeyId"])
        if spec:
            found = await self._secrets.patch(call, found, spec)
        if value is None:
            return identity_of(found)
        found = await self._secrets.store.put(found, token, value, caller=call.caller)
        return {**identity_of(found), "VersionId": token}

    async def _created(self, call: RequestContext, acting: Resources, request: Json, token: str) -> FoundSecret:
        """The new secret; the one that is there, where the same request has made it. Raises AwsError."""
        spec = ManagedSecretSpec(
            secret_name=request["Name"],
            region=call.region,
            description=request.get("Description") or "",
            kms_key_id=request.get("KmsKeyId") or "",
            tags=wanted_tags(request.get("Tags") or ()) or None,
        )
        name = resource_name(request["Name"], call.region)
        resource = MANAGED_SECRET.new(name, namespace=call.namespace, spec=spec)
        resource.metadata.annotations = {CREATION_TOKEN: token}
        found = await self._secrets.store.find(call, request["Name"])
        if found is not None:
            return _same(found, token)
        try:
            return self._secrets.store.note(await acting.create(MANAGED_SECRET, resource))
        except AlreadyExists:  # by somebody else, just now
            found = await self._secrets.store.find(call, request["Name"])
            if found is None:
                raise errors.exists(request["Name"]) from None
            return _same(found, token)

    async def _reseal(self, call: RequestContext, found: FoundSecret, key: str) -> None:
        """The labelled versions come under that key; what has no label stays under the one it was made with."""
        labelled = [each.version_id for each in found.versions if not _RESEALED.isdisjoint(each.stages)]
        await self._secrets.store.reseal(found, labelled, key, call.caller)


def _same(found: FoundSecret, token: str) -> FoundSecret:
    """The secret, if a request with that token has made it. Raises AwsError."""
    if found.spec.deletion_date is not None:
        raise errors.name_scheduled_for_deletion()
    made_by = (found.secret.metadata.annotations or {}).get(CREATION_TOKEN)
    if made_by != token or not {token}.issuperset(stages_of(found.versions)):
        raise errors.exists(found.label)
    return found
