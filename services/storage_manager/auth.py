"""The caller of an S3 request, as the gateway verified it, or a service by its identity (see `services.sdk.aws`)."""

from __future__ import annotations

from services.sdk.aws.authentication import AwsAuthenticator
from services.sdk.aws.caller_policies import CallerPolicies
from services.sdk.aws.errors import SignatureError
from services.sdk.aws.form_upload import boundary_of
from services.sdk.aws.sigv4 import RawRequest
from services.sdk.identity import Caller as Identity
from services.sdk.resources import Clock
from services.storage_manager.aws_chunked import Signing
from services.storage_manager.caller_rights import CallerRights
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import ANONYMOUS, Caller, Scope


class S3Authenticator:
    """Header-signed, presigned, or stated by the gateway for bearer callers."""

    def __init__(self, authenticator: AwsAuthenticator, clock: Clock) -> None:
        self._authenticator, self._clock = authenticator, clock

    async def authenticate(self, scope: Scope, request: RawRequest) -> Caller:
        """Raises S3Error in S3's own words. The body is not read: `bodies` checks it against what was signed."""
        try:
            return await self._authenticated(request, scope["state"]["caller"])
        except SignatureError as fault:
            error = fault.as_error("s3")
            raise S3Error(error.code, error.message) from fault

    async def _authenticated(self, request: RawRequest, identity: Identity) -> Caller:
        if identity.access_key and _is_form(request):
            # The gateway verified the policy of the form; `post_object` compares whose it is.
            return self._caller_of(identity, None, await self._authenticator.policies_of(identity))
        if identity.name == ANONYMOUS:
            return self._caller_of(identity, None, None)
        admitted = await self._authenticator.authenticate(request, identity)
        who, found, signing = admitted.caller, admitted.signature, None
        if found is not None and not found.presigned and _has_signed_chunks(request):
            key = await self._authenticator.signing_key(admitted)
            signing = Signing(key, found.timestamp, found.scope, found.value)
        return self._caller_of(who, signing, await self._authenticator.policies_of(who))

    def _caller_of(self, who: Identity, signing: Signing | None, policies: CallerPolicies | None) -> Caller:
        return Caller(who.name, who.namespace, signing, who.groups, who, CallerRights(policies, self._clock.now))


def _is_form(request: RawRequest) -> bool:
    """Whether it is an upload by a form, which carries its signature inside."""
    if request.method != "POST" or request.query or request.header("authorization"):
        return False
    return boundary_of(request.header("content-type") or "") is not None


def _has_signed_chunks(request: RawRequest) -> bool:
    return (request.header("x-amz-content-sha256") or "").startswith("STREAMING-AWS4-")
