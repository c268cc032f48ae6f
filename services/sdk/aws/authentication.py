"""The caller of an AWS call: the person the gateway verified, or another managed service by its identity token.

Signatures are verified at the gateway, which says in the identity token who signed and with which key. What is left
to a service are the signatures of an `aws-chunked` body's chunks: for these it asks for the signing key of its own
signing name, of today, for the very request it holds the token of.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from controller.kit.clock import Clock
from crds.errors import NotFound
from services.sdk.aws.caller_policies import PATH, CallerPolicies, CallerPolicyReader
from services.sdk.aws.errors import SignatureError
from services.sdk.aws.service_callers import NO_SOURCE, Source, source_of
from services.sdk.aws.sigv4 import RawRequest, Signature, read_signature
from services.sdk.aws.verifier import raw_request
from services.sdk.conductor_client import fetch_json
from services.sdk.identity import Caller

if TYPE_CHECKING:
    from services.sdk.context import ServiceContext

__all__ = ["AuthenticatedCall", "AwsAuthenticator", "SigningKeys", "authenticator_for", "raw_request"]
_REMEMBERED = 4096
Ask = Callable[[dict[str, Any], str], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class AuthenticatedCall:
    """A verified caller. `signature` is set when they signed: region, seed and scope of chunk signatures. `source`:
    what a service calls for.
    """

    caller: Caller
    signature: Signature | None = None
    source: Source = NO_SOURCE


class SigningKeys:
    """Signing keys from the conductor, remembered for as long as it says."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._known: dict[tuple[str, str, str, str], tuple[bytes, float]] = {}

    async def get(self, signature: Signature, token: str) -> bytes:
        """`token`: the identity that came with the signed request. Raises SignatureError, ApiError."""
        wanted = (signature.access_key, signature.date, signature.region, signature.service)
        known = self._known.get(wanted)
        if known is None or known[1] <= self._clock.monotonic():
            known = await self._fetched(wanted, token)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[wanted] = known
        return known[0]

    async def _fetched(self, wanted: tuple[str, str, str, str], token: str) -> tuple[bytes, float]:
        names = ("accessKeyId", "date", "region", "service")
        try:
            answer = await self._ask(dict(zip(names, wanted, strict=True)), token)
        except NotFound:
            raise SignatureError("unknown-key", "The security token included in the request is invalid.") from None
        return base64.b64decode(answer["signingKey"]), self._clock.monotonic() + float(answer["expiresIn"])


class AwsAuthenticator:
    """Authenticates AWS calls to one service. `speaks`: its signing names."""

    def __init__(
        self, keys: SigningKeys, speaks: tuple[str, ...], policies: CallerPolicyReader | None = None
    ) -> None:
        self._keys, self._speaks, self._policies = keys, speaks, policies

    async def policies_of(self, caller: Caller) -> CallerPolicies | None:
        """What IAM says of the caller. Raises ApiError."""
        return await self._policies.of(caller) if self._policies is not None else None

    async def authenticate(self, request: RawRequest, identity: Caller) -> AuthenticatedCall:
        """Raises SignatureError when the identity is not that of this signed request.

        A service that acts for somebody does not sign: what they signed was another request, to that service.
        """
        if not identity.access_key or identity.through:
            return AuthenticatedCall(_in_stated_namespace(request, identity), source=source_of(request, identity))
        signature = read_signature(request)
        if signature is None:
            raise SignatureError("missing", "Missing Authentication Token")
        if signature.access_key != identity.access_key or signature.service not in self._speaks:
            raise SignatureError("mismatch", "The identity of this request is not the one that signed it.")
        return AuthenticatedCall(identity, signature)

    async def signing_key(self, admitted: AuthenticatedCall) -> bytes:
        """What the chunks of that request are signed with. Raises SignatureError, ApiError."""
        if admitted.signature is None:
            raise SignatureError("missing", "Missing Authentication Token")
        return await self._keys.get(admitted.signature, admitted.caller.token)


def _in_stated_namespace(request: RawRequest, identity: Caller) -> Caller:
    """Services work in many namespaces and say in which; people's is in their identity."""
    wanted = request.header("x-aerekos-namespace")
    return replace(identity, namespace=wanted) if identity.service and wanted else identity


def authenticator_for(context: ServiceContext, speaks: tuple[str, ...]) -> AwsAuthenticator:
    """The authenticator of a running instance."""

    async def ask(wanted: dict[str, Any], token: str) -> dict[str, Any]:
        return await fetch_json(context.client, "POST", "/auth/signing-keys", wanted, on_behalf_of=token)

    async def policies(token: str) -> dict[str, Any]:
        return await fetch_json(context.client, "GET", PATH, on_behalf_of=token)

    return AwsAuthenticator(SigningKeys(ask, context.clock), speaks, CallerPolicyReader(policies, context.clock))
