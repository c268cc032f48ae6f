"""Secrets Manager operations about versions: move labels, list them.

Source: AWS Secrets Manager API reference, UpdateSecretVersionStage, ListSecretVersionIds.
"""

from __future__ import annotations

from typing import Any

from services.sdk.aws.operations import RequestContext, operation
from services.secrets_manager import errors
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.operations.secret_access import SecretAccess, identity_of
from services.secrets_manager.pages import page
from services.secrets_manager.stages import StageFault, Stages, TooManyLabels, move
from services.secrets_manager.views import version_entry

Json = dict[str, Any]
_MOVE = ("SecretId", "VersionStage", "RemoveFromVersionId", "MoveToVersionId")
_LIST = ("SecretId", "MaxResults", "NextToken", "IncludeDeprecated")
PAGE = 100


class VersionOperations:
    """One declared method per operation."""

    def __init__(self, secrets: SecretAccess) -> None:
        self._secrets = secrets

    @operation("UpdateSecretVersionStage", permission=("patch", MANAGED_SECRET), understands=_MOVE)
    async def update_secret_version_stage(self, call: RequestContext, request: Json) -> Json:
        found = await self._secrets.resolve_live(call, request)
        label, taken, given = (request.get(name) for name in _MOVE[1:])

        def moved(stages: Stages) -> Stages:
            for each in (taken, given):
                if each is not None and each not in stages:
                    raise errors.no_version(each)
            return move(stages, str(label), taken, given)

        try:
            found = await self._secrets.store.restage(found, moved)
        except StageFault as fault:
            raise errors.invalid_parameter(str(fault)) from fault
        except TooManyLabels as fault:
            raise errors.limit(str(fault)) from fault
        return identity_of(found)

    @operation("ListSecretVersionIds", permission=("get", MANAGED_SECRET), understands=_LIST)
    async def list_secret_version_ids(self, call: RequestContext, request: Json) -> Json:
        found = await self._secrets.resolve(call, request)
        shown = [each for each in found.versions if each.stages or request.get("IncludeDeprecated")]
        position = {each.version_id: f"{index:06}" for index, each in enumerate(found.versions)}
        scope = (call.operation, found.arn, str(bool(request.get("IncludeDeprecated"))))
        rows, more = page(shown, lambda each: position[each.version_id], scope, request, PAGE)
        return {**identity_of(found), "Versions": [version_entry(each) for each in rows], **more}
