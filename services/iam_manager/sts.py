"""STS operations: who calls, and credentials for a while.

The conductor decides and makes the credentials: it is asked in the caller's own name, and what a service may do with
that name is limited by its manifest.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crds.errors import NotFound
from crds.kinds.iam import IAM_ROLE
from services.iam_manager.directory import Directory
from services.iam_manager.identities import Identities
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.tags import tags_of
from services.sdk.conductor_client import fetch_json
from services.sdk.context import ServiceContext

Json = dict[str, Any]
_PATH = "/auth/sts"
_LIMITS = ("Policy", "PolicyArns", "DurationSeconds")
_ROLE = ("RoleArn", "RoleSessionName", *_LIMITS)


class StsOperations:
    """One declared method per operation. Those that make credentials declare no permission: the role's trust policy
    says who may become it, and the sessions of a user have no more than the user.
    """

    def __init__(
        self, context: ServiceContext, directory: Directory, access: CallerAccess, identities: Identities
    ) -> None:
        self._context, self._directory, self._access = context, directory, access
        self._identities = identities

    @operation("GetCallerIdentity", permission=None, understands=())
    async def get_caller_identity(self, call: RequestContext, request: Json) -> Json:
        """Nobody can be denied this."""
        found = await self._identities.caller(call)
        return {"UserId": found.id, "Account": found.account or call.account, "Arn": found.arn}

    @operation(
        "AssumeRole",
        permission=None,
        understands=(*_ROLE, "ExternalId", "SourceIdentity", "Tags", "TransitiveTagKeys"),
    )
    async def assume_role(self, call: RequestContext, request: Json) -> Json:
        wanted = {
            **_role(request),
            "externalId": request.get("ExternalId", ""),
            "sourceIdentity": request.get("SourceIdentity"),
            "tags": _tags(request),
            "transitiveTagKeys": request.get("TransitiveTagKeys") or [],
        }
        made = await self._ask(call, "POST", "/assume-role", wanted)
        return {
            **_role_session(made),
            **({"SourceIdentity": made["sourceIdentity"]} if made["sourceIdentity"] else {}),
        }

    @operation("AssumeRoleWithWebIdentity", permission=None, understands=(*_ROLE, "WebIdentityToken"))
    async def assume_role_with_web_identity(self, call: RequestContext, request: Json) -> Json:
        """Nobody signs this: the conductor judges the token."""
        wanted = {**_role(request), "webIdentityToken": request["WebIdentityToken"]}
        made = await fetch_json(self._context.client, "POST", f"{_PATH}/web-identity", wanted)
        told = {"SubjectFromWebIdentityToken": made["subject"], "Audience": made["audience"]}
        return {**_role_session(made), **told, "Provider": made["provider"]}

    @operation("GetSessionToken", permission=None, understands=("DurationSeconds",))
    async def get_session_token(self, call: RequestContext, request: Json) -> Json:
        self._access.judge(call)
        made = await self._ask(call, "POST", "/session-token", {"durationSeconds": request.get("DurationSeconds", 0)})
        return {"Credentials": _credentials(made)}

    @operation("GetFederationToken", permission=None, understands=("Name", "Tags", *_LIMITS))
    async def get_federation_token(self, call: RequestContext, request: Json) -> Json:
        self._access.judge(call)
        wanted = {"name": request["Name"], "tags": _tags(request), **_limits(request)}
        made = await self._ask(call, "POST", "/federation-token", wanted)
        user = {"FederatedUserId": made["id"], "Arn": made["arn"]}
        return {"Credentials": _credentials(made), "FederatedUser": user, **_packed(made)}

    @operation("GetAccessKeyInfo", permission=None, understands=("AccessKeyId",))
    async def get_access_key_info(self, call: RequestContext, request: Json) -> Json:
        """Whoever knows a key may know whose account it is of."""
        self._access.judge(call)
        try:
            found = await self._ask(call, "GET", f"/access-keys/{request['AccessKeyId']}")
        except NotFound:
            raise AwsError("InvalidClientTokenId", "The access key is unknown here.", 403) from None
        return {"Account": found["account"]}

    @operation("DecodeAuthorizationMessage", permission=("get", IAM_ROLE), understands=("EncodedMessage",))
    async def decode_authorization_message(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        found = await self._ask(call, "POST", "/decode-message", {"message": request["EncodedMessage"]})
        return {"DecodedMessage": found["message"]}

    async def _ask(self, call: RequestContext, method: str, path: str, body: Json | None = None) -> Json:
        """Raises ApiError."""
        token = call.caller.token
        return await fetch_json(self._context.client, method, f"{_PATH}{path}", body, on_behalf_of=token)


def _role(request: Json) -> Json:
    """Raises ValidationError for what is no ARN."""
    parts = request["RoleArn"].split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not (parts[1] and parts[2] and parts[5]):
        raise AwsError("ValidationError", f"{request['RoleArn']} is invalid", 400)
    return {"roleArn": request["RoleArn"], "roleSessionName": request["RoleSessionName"], **_limits(request)}


def _limits(request: Json) -> Json:
    return {
        "policy": request.get("Policy", ""),
        "policyArns": [each.get("arn", "") for each in request.get("PolicyArns") or ()],
        "durationSeconds": request.get("DurationSeconds", 0),
    }


def _tags(request: Json) -> dict[str, str]:
    """Raises AwsError."""
    try:
        return tags_of(request.get("Tags") or ())
    except ValueError as doubled:
        raise AwsError("InvalidParameterValue", str(doubled)) from doubled


def _role_session(made: Json) -> Json:
    user = {"AssumedRoleId": made["id"], "Arn": made["arn"]}
    return {"Credentials": _credentials(made), "AssumedRoleUser": user, **_packed(made)}


def _packed(made: Json) -> Json:
    return {"PackedPolicySize": made["packedPercent"]} if made["packedPercent"] else {}


def _credentials(made: Json) -> Json:
    return {
        "AccessKeyId": made["accessKeyId"],
        "SecretAccessKey": made["secretAccessKey"],
        "SessionToken": made["sessionToken"],
        "Expiration": datetime.fromisoformat(made["expiration"]),
    }
