"""The gateway's handlers in a chain of requests: signed ones of AWS tools, and `/services/<name>/...`."""

from __future__ import annotations

from api.asgi import Receive, Scope
from api.audit.notes import note_signed
from api.auth.authentication import Authenticator
from api.chain import Handler, Id, ResponseRecorder
from api.edge.bodies import check_length
from api.gateway.aws_routing import is_unsigned_form
from api.gateway.gateway import PREFIX as SERVICES
from api.gateway.gateway import Gateway
from api.request_context import trace_context

SIGNED_FOR = "aerekos.signed_for"


def gateway_handlers(gateway: Gateway, authenticator: Authenticator) -> tuple[Handler, ...]:
    """In this order, before all others: a bucket may be called `services`, and signed requests have any path."""

    def is_signed(scope: Scope) -> bool:
        signed_for = scope[SIGNED_FOR] = gateway.aws_service(scope)
        return signed_for is not None

    async def serve_aws(scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        note_signed(scope, scope[SIGNED_FOR])
        await gateway.serve_aws(scope, receive, send, scope[SIGNED_FOR], id, trace_context(scope))

    async def serve_services(scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        check_length(scope["path"], scope["headers"])
        if gateway.is_public(scope):
            await gateway.serve_public(scope, receive, send, id, trace_context(scope))
            return
        gateway.take_token(scope)
        who = authenticator.authenticate(scope)
        await gateway.serve(scope, receive, send, who, id, trace_context(scope))

    async def serve_unsigned(scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        check_length(scope["path"], scope["headers"])
        await gateway.serve_unsigned(scope, receive, send, id, trace_context(scope))

    async def serve_website(scope: Scope, receive: Receive, send: ResponseRecorder, id: Id) -> None:
        check_length(scope["path"], scope["headers"])
        await gateway.serve_website(scope, receive, send, id, trace_context(scope))

    return (
        Handler("aws", is_signed, serve_aws, theirs=True, shared=True),
        Handler("website", gateway.is_website, serve_website),
        Handler("aws", is_unsigned_form, serve_unsigned, theirs=True),
        Handler("gateway", lambda scope: scope["path"].startswith(SERVICES), serve_services, lasts=True, theirs=True),
    )
