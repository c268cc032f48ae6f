"""Secrets Manager operations about values: get one, get many, put a new one.

Source: AWS Secrets Manager API reference, GetSecretValue, BatchGetSecretValue, PutSecretValue.
"""

from __future__ import annotations

from typing import Any

from crds.errors import ApiError
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation
from services.secrets_manager import errors
from services.secrets_manager.kinds import MANAGED_SECRET, VersionStatus
from services.secrets_manager.operations.listing import SecretListing
from services.secrets_manager.operations.secret_access import (
    SecretAccess,
    identity_of,
    require_live,
    shown_value,
    token_of,
    value_of,
)
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.stages import CURRENT, TooManyLabels

Json = dict[str, Any]
_PUT = ("SecretId", "ClientRequestToken", "SecretBinary", "SecretString", "VersionStages")
_BATCH = ("SecretIdList", "Filters", "MaxResults", "NextToken")


class ValueOperations:
    """One declared method per operation."""

    def __init__(self, secrets: SecretAccess, listing: SecretListing) -> None:
        self._secrets, self._listing = secrets, listing

    @operation(
        "GetSecretValue", permission=("use", MANAGED_SECRET), understands=("SecretId", "VersionId", "VersionStage")
    )
    async def get_secret_value(self, call: RequestContext, request: Json) -> Json:
        found = await self._secrets.resolve_live(call, request)
        return await self._read(call, found, asked_version(found, request))

    @operation("BatchGetSecretValue", permission=("use", MANAGED_SECRET), understands=_BATCH)
    async def batch_get_secret_value(self, call: RequestContext, request: Json) -> Json:
        """Each is asked for by itself: what this caller may not read is among the errors."""
        named, filters = request.get("SecretIdList"), request.get("Filters")
        if bool(named) == bool(filters):
            raise errors.invalid_parameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.")
        if named and (request.get("MaxResults") or request.get("NextToken")):
            raise errors.invalid_parameter(
                "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided."
            )
        await self._secrets.authorizer.note_asked(call)
        wanted, more = (named, {}) if named else await self._filtered(call, request)
        values, refused = [], []
        for each in wanted or ():
            try:
                values.append(await self._one_of_batch(call, each))
            except (AwsError, ApiError) as error:
                refused.append(_batch_error(each, error))
        return {"SecretValues": values, "Errors": refused, **more}

    @operation("PutSecretValue", permission=("patch", MANAGED_SECRET), understands=_PUT)
    async def put_secret_value(self, call: RequestContext, request: Json) -> Json:
        value, token = value_of(request), token_of(request)
        if value is None:
            raise errors.invalid_request("You must provide either SecretString or SecretBinary.")
        found = await self._secrets.resolve_live(call, request)
        labels = tuple(request.get("VersionStages") or ())
        try:
            found = await self._secrets.store.put(found, token, value, labels, call.caller)
        except TooManyLabels as error:
            raise errors.limit(str(error)) from error
        version = found.version(token)
        return {
            **identity_of(found),
            "VersionId": token,
            "VersionStages": version.stages if version is not None else [],
        }

    async def _filtered(self, call: RequestContext, request: Json) -> tuple[list[str], Json]:
        found, token = await self._listing.page(call, request)
        return [each.arn for each in found], {"NextToken": token} if token else {}

    async def _one_of_batch(self, call: RequestContext, secret_id: str) -> Json:
        request = {"SecretId": secret_id}
        found = await self._secrets.resolve(call, request, action="GetSecretValue")
        return await self._read(call, require_live(found), asked_version(found, request))

    async def _read(self, call: RequestContext, found: FoundSecret, version: VersionStatus) -> Json:
        value = await self._secrets.store.value(found, version.version_id, call.caller)
        await self._secrets.store.note_access(found, version.version_id)
        return {
            **identity_of(found),
            "VersionId": version.version_id,
            **shown_value(value),
            "VersionStages": version.stages,
            "CreatedDate": version.created_at,
        }


def asked_version(found: FoundSecret, request: Json) -> VersionStatus:
    """The version that a request names by id or label; the current one for who names none. Raises AwsError."""
    id, label = request.get("VersionId"), request.get("VersionStage")
    if id is not None:
        version = found.version(id)
        if version is None:
            raise errors.no_version(id)
        if label is not None and label not in version.stages:
            raise errors.invalid_request(
                "You provided a VersionStage that is not associated to the provided VersionId."
            )
        return version
    label = label or CURRENT
    version = next((each for each in found.versions if label in each.stages), None)
    if version is None:
        raise errors.no_stage(label)
    return version


def _batch_error(secret_id: str, error: AwsError | ApiError) -> Json:
    known = errors.as_secrets_error(error) if isinstance(error, ApiError) else error
    return {"SecretId": secret_id, "ErrorCode": known.code, "Message": known.message}
