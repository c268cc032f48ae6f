"""An AWS service as an ASGI application: authenticate, read, call the handler, write, in every protocol of its model.

    app = AwsApp(load_model("kms"), [KeyOperations(...), AliasOperations(...)], authenticator)

It is the `app` of a `services.sdk.service.Service`. Errors of the resource API become AWS's own by `translate`.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from crds.errors import ApiError
from services.sdk.asgi import Receive, Scope, Send, note_action, read_body, send_whole
from services.sdk.aws.accounts import account_of
from services.sdk.aws.authentication import AuthenticatedCall, AwsAuthenticator
from services.sdk.aws.caller_policies import CallerPolicies
from services.sdk.aws.errors import AwsError, SignatureError
from services.sdk.aws.judgement import note_denial
from services.sdk.aws.model import ServiceModel
from services.sdk.aws.operations import Operation, RequestContext, handlers_of, require_modelled
from services.sdk.aws.protocols import Codec, HttpRequest, HttpResponse, chosen_codec, codecs_for
from services.sdk.aws.sigv4 import RawRequest
from services.sdk.aws.translation import translate
from services.sdk.permissions import Permission

BODY_LIMIT = 4 * 1024 * 1024
DEFAULT_REGION = "us-east-1"
log = logging.getLogger(__name__)
# What an operation is about, as an ARN: from the call, the request, and the answer ({} before there is one).
ResourceOf = Callable[[RequestContext, dict[str, Any], dict[str, Any]], str]
# The ARN of the resource that policies are asked about, before the operation runs; empty for none.
JudgedResource = Callable[[RequestContext, dict[str, Any]], Awaitable[str]]
_DENIED = frozenset({"AccessDeniedException", "NotAuthorized", "AccessDenied", "AuthorizationError"})
_NOTHING: tuple[Any, ...] = (False, [], {}, "")


class AwsApp:
    """ASGI. `handlers`: objects whose methods are declared by `@operation`; what is not declared is unknown.

    protocols: those to speak; all of the model's, when there are none.
    """

    def __init__(
        self,
        model: ServiceModel,
        handlers: Iterable[object],
        authenticator: AwsAuthenticator,
        *,
        protocols: Iterable[str] = (),
        translate: Callable[[ApiError], AwsError] = translate,
        resource_of: ResourceOf | None = None,
        judged_resource: JudgedResource | None = None,
    ) -> None:
        self._model, self._authenticator, self._translate = model, authenticator, translate
        self._handlers = handlers_of(*handlers)
        require_modelled(model, (declared for declared, _ in self._handlers.values()))
        self._codecs = codecs_for(model, self._handlers, protocols)
        self._judged_resource = judged_resource
        self._resource_of = resource_of or (lambda _call, _request, _answer: "")

    def permissions(self) -> dict[str, Permission | None]:
        """As `GuardedApp`."""
        return {name: declared.permission for name, (declared, _) in self._handlers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = _head_of(scope)
        codec = chosen_codec(self._codecs, head)
        try:
            answer = await self._answered(codec, head, scope, receive)
        except ApiError as error:
            answer = self._refused(codec, scope, self._translate(error), error)
        except AwsError as error:
            answer = self._refused(codec, scope, error, error)
        except SignatureError as fault:
            note_action(scope, forbidden=True, reason=fault.message)
            answer = self._refused(codec, scope, fault.as_error(codec.family))
        except Exception:
            log.exception("an operation failed", extra={"fields": {"requestId": scope["state"]["request_id"]}})
            answer = self._refused(codec, scope, AwsError("InternalFailure", "the request failed here", 500))
        await _send(answer, scope["method"] == "HEAD", send)

    async def _answered(self, codec: Codec, head: HttpRequest, scope: Scope, receive: Receive) -> HttpResponse:
        request = head._replace(body=await self._body(codec, head, receive))
        signed = RawRequest(head.method, head.path, head.query, list(head.headers.items()))
        admitted = await self._authenticator.authenticate(signed, scope["state"]["caller"])
        name = codec.route(request)
        declared, handler = self._handlers[name]
        policies = await self._authenticator.policies_of(admitted.caller)
        call = self._call(admitted, scope, declared, policies, head, partial(_left, receive))
        note_action(scope, f"{self._model.name}:{name}", caller=call.caller.name)
        params = codec.parse(name, request)
        note_action(scope, resource=self._resource_of(call, params, {}))
        _require_understood(declared, params)
        if self._judged_resource is not None:
            call = call._replace(resource=await self._judged_resource(call, params))
        result = await handler(call, params) or {}
        _require_asked(call)
        note_action(scope, resource=self._resource_of(call, params, result))
        return codec.serialize(name, result, call.request_id)

    async def _body(self, codec: Codec, head: HttpRequest, receive: Receive) -> bytes | AsyncIterator[bytes]:
        """The whole of it, but for operations whose body is handed on as it comes. Raises AwsError."""
        if codec.routes_by_head and codec.has_streaming_input(codec.route(head)):
            return _stream(receive)
        content = await read_body(receive, BODY_LIMIT)
        if content is None:
            raise _too_large()
        is_packed = self._model.takes_gzip and head.headers.get("content-encoding", "").lower() == "gzip"
        return _unpacked(content) if is_packed else content

    def _call(
        self,
        admitted: AuthenticatedCall,
        scope: Scope,
        declared: Operation,
        policies: CallerPolicies | None,
        head: HttpRequest,
        left: Callable[[], Awaitable[None]],
    ) -> RequestContext:
        caller, source = admitted.caller, admitted.source
        region = admitted.signature.region if admitted.signature else source.region or DEFAULT_REGION
        scope["state"]["caller"] = caller
        return RequestContext(
            caller,
            region,
            account_of(caller.namespace),
            scope["state"]["request_id"],
            declared,
            [],
            action=f"{self._model.action_prefix}:{declared.name}",
            policies=policies,
            origin=_origin_of(scope, head),
            path=head.path,
            left=left,
            source=source,
        )

    def _refused(
        self, codec: Codec, scope: Scope, error: AwsError, cause: BaseException | None = None
    ) -> HttpResponse:
        if error.code in _DENIED:
            note_denial(scope, error.message, cause)
        return codec.serialize_error(error, scope["state"]["request_id"], resource=scope["path"])


def _require_understood(declared: Operation, params: Mapping[str, Any]) -> None:
    """Raises AwsError for a member of the model that is asked for and not done: never dropped in silence."""
    if declared.understands is None:
        return
    for name, value in params.items():
        if name not in declared.understands and value not in _NOTHING:
            raise AwsError("UnsupportedOperationException", f"{declared.name} does not understand {name} here")


def _require_asked(call: RequestContext) -> None:
    """An answer that nobody was asked about does not leave. Raises LookupError: that is our mistake."""
    wanted = call.declared.permission
    if wanted is None:
        return
    verb, plural = wanted.verb, wanted.kind.plural
    for asked in call.asked:
        if asked[0] == verb and asked[1] == plural:
            return
    raise LookupError(f"{call.operation} answered without asking for {verb} on {plural}")


def _head_of(scope: Scope) -> HttpRequest:
    headers: dict[str, str] = {}
    for key, raw in scope["headers"]:
        name, value = key.decode("latin-1"), raw.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    return HttpRequest(scope["method"], path, scope["query_string"].decode("latin-1"), headers)


def _unpacked(content: bytes) -> bytes:
    """Raises AwsError."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        found = unpacking.decompress(content, BODY_LIMIT)
    except zlib.error:
        raise AwsError("SerializationException", "the body is not gzip, as content-encoding says it is") from None
    if unpacking.unconsumed_tail:
        raise _too_large()
    if not unpacking.eof:
        raise AwsError("SerializationException", "the body ends in the middle of its gzip")
    return found


def _too_large() -> AwsError:
    return AwsError("RequestEntityTooLargeException", f"the body is over {BODY_LIMIT} bytes", 413)


def _origin_of(scope: Scope, head: HttpRequest) -> str:
    # The gateway lets no Host through but this cloud's own.
    return f"{scope.get('scheme', 'https')}://{head.headers.get('host', 'localhost')}"


async def _left(receive: Receive) -> None:
    """Returns when the client has gone. The body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        yield message.get("body", b"")
        more = bool(message.get("more_body"))


async def _send(answer: HttpResponse, bodiless: bool, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    body = answer.body
    if isinstance(body, bytes):
        headers.append((b"content-length", str(len(body)).encode()))
        await send_whole(send, answer.status, headers, b"" if bodiless else body)
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for block in body:
        await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
