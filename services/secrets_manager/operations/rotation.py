"""Secrets Manager operations about rotation: say how, begin, cancel.

Source: AWS Secrets Manager API reference, RotateSecret, CancelRotateSecret.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from crds.errors import Conflict
from services.sdk.aws.operations import RequestContext, operation
from services.secrets_manager import errors
from services.secrets_manager.kinds import MANAGED_SECRET, RotationRules, RotationStatus
from services.secrets_manager.operations.secret_access import SecretAccess, identity_of, token_of
from services.secrets_manager.rotation_targets import target_fault
from services.secrets_manager.secret import FoundSecret, stages_of, unfinished
from services.secrets_manager.stages import PENDING, holder

Json = dict[str, Any]
_ROTATE = ("SecretId", "ClientRequestToken", "RotationLambdaARN", "RotationRules", "RotateImmediately")
_ATTEMPTS = 8


class RotationOperations:
    """One declared method per operation. The steps are the reconciler's."""

    def __init__(self, secrets: SecretAccess) -> None:
        self._secrets = secrets

    @operation("RotateSecret", permission=("patch", MANAGED_SECRET), understands=_ROTATE)
    async def rotate_secret(self, call: RequestContext, request: Json) -> Json:
        token = token_of(request)
        found = await self._secrets.resolve_live(call, request)
        rules, at_once = wanted_rules(found, request), request.get("RotateImmediately") is not False
        if at_once and not found.has_value(found.current or ""):
            raise errors.invalid_request("The secret has no value to rotate.")
        _require_finished(found, token)
        if rules != found.spec.rotation:
            found = await self._secrets.patch(call, found, {"rotation": _whole(rules)})
        if not at_once:
            return identity_of(found)
        return {**identity_of(await self._begin(found, token)), "VersionId": token}

    @operation("CancelRotateSecret", permission=("patch", MANAGED_SECRET), understands=("SecretId",))
    async def cancel_rotate_secret(self, call: RequestContext, request: Json) -> Json:
        """The pending version keeps its label: what it was set to may be in use already."""
        found = await self._secrets.resolve_live(call, request)
        if found.spec.rotation is None:
            raise errors.invalid_request("Rotation isn't configured for this secret.")
        found = await self._secrets.patch(call, found, {"rotation": {"enabled": False}})
        found = await self._set(found, None)
        pending = holder(stages_of(found.versions), PENDING)
        return {**identity_of(found), **({"VersionId": pending} if pending else {})}

    async def _begin(self, found: FoundSecret, token: str) -> FoundSecret:
        under_way = found.secret.status.rotation
        if under_way is not None and under_way.token != token:
            raise errors.invalid_request("A previous rotation isn't complete. That rotation will be reattempted.")
        if found.has_value(token) and under_way is None and unfinished(found) != token:
            return found  # the same request again, and it is done
        found = await self._secrets.store.add_pending(found, token)
        return await self._set(found, RotationStatus(token=token))

    async def _set(self, found: FoundSecret, rotation: RotationStatus | None) -> FoundSecret:
        """Say that a rotation is under way, or that none is. Raises AwsError."""
        status = {"rotation": None if rotation is None else rotation.wire()}
        for _ in range(_ATTEMPTS):
            try:
                return await self._secrets.store.patch_status(found, status)
            except Conflict:
                found = await self._secrets.store.fresh(found)
                known = found.secret.status.rotation
                if rotation is not None and known is not None and known.token != rotation.token:
                    raise errors.invalid_request(
                        "A previous rotation isn't complete. That rotation will be reattempted."
                    ) from None
        raise errors.keys_away(f"{found.label} is changed by others all the time; try again")


def _require_finished(found: FoundSecret, token: str) -> None:
    """Raises AwsError where a rotation was cancelled, and is not what is asked for again: what it has set may be the
    only password that the database knows by now.
    """
    pending = unfinished(found)
    if found.secret.status.rotation is None and pending not in (None, token):
        raise errors.invalid_request(
            f"A previous rotation was cancelled, and its version {pending} still has the staging label AWSPENDING. "
            f"Rotate with ClientRequestToken {pending} to go on with it, or take the label from it first."
        )


def wanted_rules(found: FoundSecret, request: Json) -> RotationRules:
    """The secret's rules with those of the request. Raises AwsError."""
    had, given = found.spec.rotation, request.get("RotationRules")
    target = request.get("RotationLambdaARN") or (had.target if had else "")
    if not target:
        raise errors.invalid_request("No Lambda rotation function ARN is associated with this secret.")
    if target.startswith("arn:") and target_fault(target):
        raise errors.cannot_invoke()
    kept = {} if had is None or given is not None else had.model_dump(include={"after_days", "schedule", "duration"})
    if given is not None:
        kept = {
            "after_days": given.get("AutomaticallyAfterDays"),
            "schedule": given.get("ScheduleExpression") or "",
            "duration": given.get("Duration") or "",
        }
    try:
        return RotationRules(target=target, **kept)
    except ValidationError as error:
        raise errors.invalid_parameter("; ".join(_words(each) for each in error.errors())) from error


def _whole(rules: RotationRules) -> Json:
    """As a merge patch: what is not said is taken away."""
    return {"afterDays": None, **rules.wire()}


def _words(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    said = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
