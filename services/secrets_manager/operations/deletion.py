"""Secrets Manager operations about the end of secrets: delete, at once or after a window, and restore.

Source: AWS Secrets Manager API reference, DeleteSecret, RestoreSecret.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

from crds.errors import NotFound
from crds.model import rfc3339
from services.sdk.aws.operations import RequestContext, operation
from services.secrets_manager import errors
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.names import ending_of, secret_arn
from services.secrets_manager.operations.secret_access import SecretAccess, identity_of, require_name

Json = dict[str, Any]
DEFAULT_WINDOW_DAYS = 30
_DELETE = ("SecretId", "RecoveryWindowInDays", "ForceDeleteWithoutRecovery")


class DeletionOperations:
    """One declared method per operation."""

    def __init__(self, secrets: SecretAccess) -> None:
        self._secrets = secrets

    @operation("DeleteSecret", permission=("delete", MANAGED_SECRET), understands=_DELETE)
    async def delete_secret(self, call: RequestContext, request: Json) -> Json:
        window, force = request.get("RecoveryWindowInDays"), bool(request.get("ForceDeleteWithoutRecovery"))
        if window is not None and not 7 <= window <= 30:
            raise errors.invalid_parameter(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."
            )
        if force and window is not None:
            raise errors.invalid_parameter(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
            )
        return await (self._at_once(call, request) if force else self._later(call, request, window))

    @operation("RestoreSecret", permission=("patch", MANAGED_SECRET), understands=("SecretId",))
    async def restore_secret(self, call: RequestContext, request: Json) -> Json:
        found = await self._secrets.resolve(call, request)
        if found.spec.deletion_date is not None:
            await self._secrets.patch(call, found, {"deletionDate": None})
        return identity_of(found)

    async def _later(self, call: RequestContext, request: Json, window: int | None) -> Json:
        found = await self._secrets.resolve(call, request)
        if found.spec.deletion_date is not None:
            raise errors.invalid_request(
                "You can't perform this operation on the secret because it was already scheduled for deletion."
            )
        date = self._secrets.clock.now() + timedelta(days=window or DEFAULT_WINDOW_DAYS)
        # Who may delete need not be allowed to change: this is our write.
        found = await self._secrets.store.patch_spec(found, {"deletionDate": rfc3339(date)})
        return {**identity_of(found), "DeletionDate": date}

    async def _at_once(self, call: RequestContext, request: Json) -> Json:
        """Of a secret that is not there, AWS says the same as of one that was."""
        now, wanted = self._secrets.clock.now(), str(request["SecretId"])
        require_name(wanted)
        found = await self._secrets.store.find(call, wanted)
        if found is None:
            await self._secrets.authorizer.require_named(call, wanted, request)
            arn = secret_arn(call.region, call.account, wanted, ending_of(str(uuid4())))
            named = {"ARN": arn, "Name": wanted}
            return {**named, "DeletionDate": now} if not wanted.startswith("arn:") else _gone(wanted, now)
        await self._secrets.authorizer.require(call, found, request)
        with suppress(NotFound):
            await self._secrets.store.delete(found)
        return {**identity_of(found), "DeletionDate": now}


def _gone(arn: str, now: Any) -> Json:
    return {"ARN": arn, "Name": arn.rpartition(":")[2], "DeletionDate": now}
