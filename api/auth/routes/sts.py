"""/auth/sts: what services ask for their callers, and temporary credentials as their owners and admins see them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import MASTERS, Principal
from api.auth.session_facts import assumed_role, federated_user
from api.auth.sts.role_sessions import RoleSession
from api.auth.sts.service import SecurityTokens
from api.auth.sts.wanted import (
    FederationWanted,
    RoleSessionWanted,
    ServiceRoleWanted,
    SessionTokenWanted,
    WebIdentityWanted,
)
from api.auth.temporary_credentials import IssuedCredential, is_temporary
from crds.errors import NotFound
from crds.kind import GROUP
from crds.kinds.iam import IAM_ROLE
from crds.kinds.temporary_credential import TEMPORARY_CREDENTIAL, TemporaryCredentialSpec
from crds.model import Model, rfc3339
from services.sdk.aws.accounts import account_of

_ADMINS = frozenset({"aerekos:admin", MASTERS})
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "DELETE": "delete"}
Json = dict[str, Any]


class EncodedMessage(Model):
    message: str


def sts_routes(tokens: SecurityTokens, authenticator: Authenticator, authorizer: Authorizer) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/auth/sts")

    async def authenticate(request: Request) -> Principal:
        who = authenticator.authenticate(request.scope)
        authenticator.require_acting(who, Action(_VERBS[request.method], GROUP, TEMPORARY_CREDENTIAL.plural))
        return who

    Who = Annotated[Principal, Depends(authenticate)]

    @router.post("/assume-role", status_code=201)
    async def assume_role(body: RoleSessionWanted, asker: Who) -> Json:
        return _role_session(await tokens.roles.assume(tokens.callers.caller(asker), body))

    @router.post("/service-role", status_code=201)
    async def service_role(body: ServiceRoleWanted, asker: Who) -> Json:
        """For managed services that stand for a service of AWS, in their own name."""
        return _role_session(await tokens.services.assume(asker, body))

    @router.post("/web-identity", status_code=201)
    async def web_identity(body: WebIdentityWanted) -> Json:
        """For everybody: the token is the proof."""
        made, identity = await tokens.web.assume(body)
        told = {"subject": identity.subject, "audience": identity.audience, "provider": identity.provider}
        return {**_role_session(made), **told}

    @router.post("/session-token", status_code=201)
    async def session_token(body: SessionTokenWanted, asker: Who) -> Json:
        return _credentials(await tokens.users.session_token(tokens.callers.caller(asker), body))

    @router.post("/federation-token", status_code=201)
    async def federation_token(body: FederationWanted, asker: Who) -> Json:
        made = await tokens.users.federated(tokens.callers.caller(asker), body)
        arn, id_ = federated_user(made.issued.spec, account_of(made.issued.spec.namespace))
        return {**_credentials(made.issued), "arn": arn, "id": id_, "packedPercent": made.packed_percent}

    @router.post("/decode-message")
    async def decode_message(body: EncodedMessage, asker: Who) -> Json:
        """For who may read the roles of their own account, by a role of the cloud or, as the service has found, by a
        policy.
        """
        tokens.callers.caller(asker)
        if not asker.actors:
            authorizer.require(asker, Action("get", GROUP, IAM_ROLE.plural, asker.namespace))
        return {"message": tokens.messages.decoded(asker.namespace, body.message)}

    @router.get("/access-keys/{key_id}")
    async def account_of_key(key_id: str, asker: Who) -> Json:
        """The account a key is of, for whoever knows the key."""
        return {"account": account_of(_namespace_of(tokens, key_id))}

    @router.get("/credentials")
    async def credentials(asker: Who) -> Json:
        found = [each for each in tokens.temporary.all() if _may_see(asker, each)]
        return {"credentials": [_told(each) for each in found]}

    @router.delete("/credentials/{key_id}")
    async def revoke(key_id: str, asker: Who) -> Json:
        """Ends it, and all that were made with it."""
        found = next((each for each in tokens.temporary.all() if each.access_key_id == key_id), None)
        if found is None or not _may_see(asker, found):
            raise NotFound(f"there are no temporary credentials {key_id}")
        return {"ended": await tokens.temporary.revoke(key_id, by=asker.name)}

    return router


def _namespace_of(tokens: SecurityTokens, key_id: str) -> str:
    """Raises NotFound."""
    if is_temporary(key_id):
        return tokens.temporary.find(key_id).spec.namespace
    return tokens.accounts.owner_of(key_id)[0].spec.namespace


def _may_see(asker: Principal, spec: TemporaryCredentialSpec) -> bool:
    """Admins see all; everybody those they made themselves, with no credentials for a while."""
    if not _ADMINS.isdisjoint(asker.groups):
        return True
    source = spec.anchors[0] if spec.anchors else None
    return source is not None and source.kind == "User" and source.name == asker.name


def _role_session(made: RoleSession) -> Json:
    spec = made.issued.spec
    arn, id_ = assumed_role(spec, account_of(spec.namespace))
    told = {"arn": arn, "id": id_, "packedPercent": made.packed_percent, "sourceIdentity": spec.source_identity}
    return {**_credentials(made.issued), **told}


def _credentials(issued: IssuedCredential) -> Json:
    key = issued.key
    return {
        "accessKeyId": key.id,
        "secretAccessKey": key.secret,
        "sessionToken": key.token,
        "expiration": rfc3339(issued.spec.expires_at),
    }


def _told(spec: TemporaryCredentialSpec) -> Json:
    return {
        "accessKeyId": spec.access_key_id,
        "session": spec.session,
        "namespace": spec.namespace,
        "role": spec.role.name if spec.role else "",
        "user": spec.user,
        "sessionName": spec.session_name,
        "issuedAt": rfc3339(spec.issued_at),
        "expiresAt": rfc3339(spec.expires_at),
        "sourceIdentity": spec.source_identity,
    }
