"""An AWS service that speaks json-1.0 or json-1.1: authenticate, read, call the handler, write.

    class Handlers:
        async def create_key(self, call: RequestContext, request: dict[str, Any]) -> dict[str, Any]: ...

Mount it with `build_app(context, app=AwsJsonApp(...))`. Errors of the resource API become AWS's own by `translate`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crds.errors import ApiError, Forbidden, NotFound, TooManyRequests, Unavailable
from services.sdk.app import Receive, Scope, Send, header_of, note_action, read_body, send_bytes
from services.sdk.aws.accounts import account_of as account_of
from services.sdk.aws.authentication import AuthenticatedCall, AwsAuthenticator, raw_request
from services.sdk.aws.errors import AwsError, SignatureError
from services.sdk.aws.json_protocol import read_json, write_json
from services.sdk.aws.model import ServiceModel, snake_case
from services.sdk.identity import Caller

BODY_LIMIT = 4 * 1024 * 1024
DEFAULT_REGION = "us-east-1"
log = logging.getLogger(__name__)
Handler = Callable[["RequestContext", dict[str, Any]], Awaitable[dict[str, Any] | None]]
# What an operation is about, as an ARN: from the call, the request, and the answer ({} before there is one).
ResourceOf = Callable[["RequestContext", dict[str, Any], dict[str, Any]], str]
_DENIED = frozenset({"AccessDeniedException", "NotAuthorized", "AccessDenied"})


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The caller, region and account of a request: everything about a request that is not its content."""

    caller: Caller
    region: str
    account: str
    request_id: str
    operation: str

    @property
    def namespace(self) -> str:
        return self.caller.namespace


def translate(error: ApiError) -> AwsError:
    """The usual AWS words for an error of the resource API."""
    if isinstance(error, Forbidden):
        return AwsError("AccessDeniedException", error.message)
    if isinstance(error, NotFound):
        return AwsError("NotFoundException", error.message)
    if isinstance(error, TooManyRequests):
        return AwsError("ThrottlingException", error.message)
    if error.code < 500:
        return AwsError("ValidationException", error.message)
    code = "DependencyTimeoutException" if isinstance(error, Unavailable) else "InternalFailure"
    return AwsError(code, error.message, 503 if isinstance(error, Unavailable) else 500)


class AwsJsonApp:
    """ASGI. `handlers` has one method per operation; an operation without one answers UnknownOperationException.

    `understood`: the members of each operation that its handler honours; None leaves that to the handlers.
    """

    def __init__(
        self,
        model: ServiceModel,
        handlers: object,
        authenticator: AwsAuthenticator,
        translate: Callable[[ApiError], AwsError] = translate,
        resource_of: ResourceOf | None = None,
        understood: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self._model, self._authenticator, self._translate = model, authenticator, translate
        self._understood = understood
        self._resource_of = resource_of or (lambda _call, _request, _answer: "")
        found = ((name, getattr(handlers, snake_case(name), None)) for name in model.operations)
        self._handlers: dict[str, Handler] = {name: each for name, each in found if each is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = 200, b""
        try:
            body = await self._answered(scope, receive)
        except ApiError as error:
            status, body = self._refused(scope, self._translate(error))
        except AwsError as error:
            status, body = self._refused(scope, error)
        except SignatureError as fault:
            note_action(scope, forbidden=True)
            status, body = self._refused(scope, fault.as_error("json"))
        except Exception:
            log.exception("an operation failed", extra={"fields": {"requestId": scope["state"]["request_id"]}})
            status, body = self._refused(scope, AwsError("InternalFailure", "the request failed here", 500))
        await self._send(scope, send, status, body)

    async def _answered(self, scope: Scope, receive: Receive) -> bytes:
        content = await read_body(receive, BODY_LIMIT)
        if content is None:
            raise AwsError("RequestEntityTooLargeException", f"the body is over {BODY_LIMIT} bytes", 413)
        admitted = await self._authenticator.authenticate(raw_request(scope), scope["state"]["caller"])
        operation = self._operation(scope)
        call = self._call(admitted, scope, operation)
        note_action(scope, f"{self._model.name}:{operation}", caller=call.caller.name)
        request = read_json(self._model, self._model.input_of(operation), content)
        note_action(scope, resource=self._resource_of(call, request, {}))
        self._require_understood(operation, request)
        answer = await self._handlers[operation](call, request)
        note_action(scope, resource=self._resource_of(call, request, answer or {}))
        output = self._model.output_of(operation)
        return b"" if output is None else write_json(self._model, output, answer or {})

    def _require_understood(self, operation: str, request: dict[str, Any]) -> None:
        """Raises AwsError for a member of the model that is asked for and not done: never dropped in silence."""
        if self._understood is None:
            return
        known = self._understood.get(operation, frozenset())
        for name in request:
            if name not in known and request[name] not in (False, [], {}, ""):
                raise AwsError("UnsupportedOperationException", f"{operation} does not understand {name} here")

    def _operation(self, scope: Scope) -> str:
        target = header_of(scope, "x-amz-target") or ""
        prefix, _, operation = target.rpartition(".")
        if scope["method"] != "POST" or prefix != self._model.target_prefix or operation not in self._handlers:
            said = f"{target!r} is not implemented" if operation in self._model.operations else f"no {target!r}"
            raise AwsError("UnknownOperationException", said)
        return operation

    def _call(self, admitted: AuthenticatedCall, scope: Scope, operation: str) -> RequestContext:
        region = admitted.signature.region if admitted.signature else DEFAULT_REGION
        caller = admitted.caller
        scope["state"]["caller"] = caller
        return RequestContext(caller, region, account_of(caller.namespace), scope["state"]["request_id"], operation)

    def _refused(self, scope: Scope, error: AwsError) -> tuple[int, bytes]:
        note_action(scope, forbidden=error.code in _DENIED)
        return self._model.errors.get(error.code, error.status), error.json()

    async def _send(self, scope: Scope, send: Send, status: int, body: bytes) -> None:
        id = scope["state"]["request_id"].encode()
        await send_bytes(send, status, body, self._model.content_type, [(b"x-amzn-requestid", id)])
