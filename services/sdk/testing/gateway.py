"""The gateway in a test: verifies signatures, and says by `X-Aerekos-Identity` who calls."""

from __future__ import annotations

import secrets as random_secrets
from typing import Any

from jose import jwt

from crds.managed import ManagedService
from services.sdk.asgi import Asgi, Receive, Scope, Send, header_of, send_bytes
from services.sdk.aws.error_bodies import error_body
from services.sdk.aws.errors import AwsError, SignatureError
from services.sdk.aws.form_upload import FormError, access_key_of, boundary_of, read_fields
from services.sdk.aws.sigv4 import read_signature
from services.sdk.aws.verifier import SignatureVerifier, payload_headers, raw_request
from services.sdk.context import ServiceContext
from services.sdk.identity import ON_BEHALF_OF
from services.sdk.testing.conductor import FakeConductor


def gateway_for(app: Asgi, conductor: FakeConductor, context: ServiceContext, manifest: ManagedService) -> Asgi:
    """`app` behind a gateway."""
    verifier = SignatureVerifier(conductor.owner, conductor.clock)

    def identified(scope: Scope, sub: str, **claims: Any) -> Scope:
        jti = random_secrets.token_hex(4)
        token = conductor.token(sub, context.service_name, jti=jti, **claims).encode()
        kept = [(name, value) for name, value in scope["headers"] if name != b"x-aerekos-identity"]
        return {**scope, "headers": [*kept, (b"x-aerekos-identity", token)]}

    async def gateway(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ("/health", "/ready", "/metrics"):
            await app(scope, receive, send)
        elif for_somebody := header_of(scope, ON_BEHALF_OF.lower()):
            claims = jwt.get_unverified_claims(for_somebody)
            kept = {name: claims[name] for name in ("groups", "ns", "akid") if name in claims}
            act = {"sub": f"system:service:{claims['aud']}"}
            await app(identified(scope, claims["sub"], **kept, act=act), receive, send)
        elif header_of(scope, "x-aerekos-identity"):
            await app(scope, receive, send)
        else:
            await signed(scope, receive, send)

    async def signed(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if manifest.protocol == "s3" and read_signature(raw_request(scope)) is None:
                await unsigned(scope, receive, send)
                return
            found, receive = await verifier.verified(scope, receive, manifest.speaks)
        except (SignatureError, AwsError) as refused:
            error = refused.as_error(manifest.protocol) if isinstance(refused, SignatureError) else refused
            told = error_body(error, manifest.protocol, request_id="test", resource=scope["path"])
            await send_bytes(send, told.status, told.content, told.content_type.decode(), told.headers)
            return
        who, added = found.who, payload_headers(scope, found)
        claims = {"groups": who.groups, "ns": who.namespace, "akid": who.access_key}
        scope = identified({**scope, "headers": [*scope["headers"], *added]}, who.name, **claims)
        await app(scope, receive, send)

    async def unsigned(scope: Scope, receive: Receive, send: Send) -> None:
        """As `api.gateway.unsigned_s3`: anybody, or who signed a form."""
        claims: dict[str, Any] = {"sub": "system:anonymous", "groups": ("system:unauthenticated",)}
        boundary = boundary_of(header_of(scope, "content-type") or "") if scope["method"] == "POST" else None
        if boundary is not None:
            try:
                form, behind = await read_fields(receive, boundary), receive
            except FormError as wrong:
                raise AwsError("MalformedPOSTRequest", str(wrong)) from wrong
            left = [{"type": "http.request", "body": form.read, "more_body": not form.ended}]

            async def receive() -> Any:
                return left.pop() if left else await behind()

            if access_key_of(form.fields):
                who = verifier.signer_of_form(form.fields)
                claims = {"sub": who.name, "groups": who.groups, "ns": who.namespace, "akid": who.access_key}
        await app(identified(scope, claims.pop("sub"), **claims), receive, send)

    return gateway
