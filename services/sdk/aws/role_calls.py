"""Calls of AWS that a service makes for people's resources, under a role of theirs: signed, through the gateway.

The role trusts the AWS service that ours stands for (`ManagedService.assumes_as`); the conductor hands out its
credentials, which are kept for half of their life. What is sent is made by botocore of the service's model, which is
loaded at the first call.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import anyio
import httpx

from crds.errors import ApiError, Forbidden
from services.sdk.aws.model import called, load_model
from services.sdk.aws.service_callers import REGION, SOURCE_ARN
from services.sdk.clients.service_client import ServiceClient
from services.sdk.conductor_client import fetch_json
from services.sdk.context import ServiceContext
from services.sdk.discovery import managed_services

_REMEMBERED = 4096
_RETRYABLE = frozenset({408, 429})
_RETRYABLE_WORDS = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown", "RequestTimeout")
# What a gateway says of a key that it does not know: a new one, of which it has not heard, or one that is gone.
_UNKNOWN_KEY = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "ExpiredToken"}
)
_WAITS_FOR_GATEWAY = (0.05, 0.1, 0.2, 0.4, 0.8)
_FRESH = timedelta(seconds=30)
_MOST_SHOWN = 1024


class RoleUse(NamedTuple):
    """Whose role, for whom: `source_arn` is the resource that it is done for, in `namespace`."""

    role_arn: str
    namespace: str
    source_arn: str


class CallFault(Exception):
    """A call that failed. `code`: as the service called named it. `lasting`: trying again cannot help."""

    def __init__(self, code: str, message: str, *, lasting: bool) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.lasting = code, message[:_MOST_SHOWN], lasting


class KeyPair(NamedTuple):
    """An access key that lasts, of a user."""

    id: str
    secret: str

    def __repr__(self) -> str:  # the secret never reaches a log
        return f"KeyPair({self.id})"


class _Credentials(NamedTuple):
    access_key: str
    secret_key: str
    token: str
    made_at: datetime
    renew_at: datetime


class RoleCalls:
    """One per process. `principal`: the AWS service it is done as (`scheduler.amazonaws.com`)."""

    def __init__(self, context: ServiceContext, principal: str) -> None:
        self._context, self._principal = context, principal
        self._known: dict[RoleUse, _Credentials] = {}
        self._assuming: dict[RoleUse, anyio.Lock] = {}

    async def call(self, use: RoleUse, service: str, region: str, operation: str, request: Mapping[str, Any]) -> None:
        """One operation of an AWS service: its SDK's name, the operation's as the model has it, or in camel case; the
        answer is not read. Raises CallFault, which tells nothing of the request but the names of its members.
        """
        wire = _serialized(service, operation, dict(request))
        for wait in (*_WAITS_FOR_GATEWAY, None):
            credentials = await self._credentials(use)
            fault = await self._fault_of(wire, region, credentials)
            if fault is None:
                return
            if fault.code in _UNKNOWN_KEY and not self._is_fresh(credentials):
                self._known.pop(use, None)  # the role is another one by now, or they were revoked
            if wait is None or fault.code not in _UNKNOWN_KEY:
                raise fault
            await anyio.sleep(wait)

    async def _fault_of(self, wire: _Wire, region: str, credentials: _Credentials) -> CallFault | None:
        """Why the call failed, or None."""
        keys = credentials.access_key, credentials.secret_key, credentials.token
        response = await _sent(self._context, wire, region, keys)
        if isinstance(response, CallFault):
            return response
        return _fault_of(response) if response.status_code >= 300 else None

    def _is_fresh(self, credentials: _Credentials) -> bool:
        """Whether a gateway may not have heard of them yet."""
        return self._context.clock.now() < credentials.made_at + _FRESH

    async def _credentials(self, use: RoleUse) -> _Credentials:
        """Who comes while a role is assumed waits for that. Raises CallFault."""
        if (known := self._fresh(use)) is not None:
            return known
        lock = self._assuming.setdefault(use, anyio.Lock())
        try:
            async with lock:
                return self._fresh(use) or self._remember(use, await self._assumed(use, self._context.clock.now()))
        finally:
            if not lock.statistics().locked:
                self._assuming.pop(use, None)

    def _fresh(self, use: RoleUse) -> _Credentials | None:
        known = self._known.get(use)
        return known if known is not None and self._context.clock.now() < known.renew_at else None

    def _remember(self, use: RoleUse, made: _Credentials) -> _Credentials:
        self._known.pop(use, None)
        if len(self._known) >= _REMEMBERED:
            self._known.pop(next(iter(self._known)))  # the oldest one
        self._known[use] = made
        return made

    async def _assumed(self, use: RoleUse, now: datetime) -> _Credentials:
        wanted = {
            "roleArn": use.role_arn,
            "roleSessionName": self._context.service_name,
            "principal": self._principal,
            "namespace": use.namespace,
            "sourceArn": use.source_arn,
        }
        try:
            made = await fetch_json(self._context.client, "POST", "/auth/sts/service-role", wanted)
        except Forbidden as refused:
            raise CallFault("AccessDeniedException", refused.message, lasting=True) from refused
        except ApiError as error:
            raise CallFault(type(error).__name__, error.message, lasting=False) from error
        lives: timedelta = datetime.fromisoformat(made["expiration"]) - now
        return _Credentials(made["accessKeyId"], made["secretAccessKey"], made["sessionToken"], now, now + lives / 2)


class OwnCalls:
    """Calls of one of our services in this service's own name, which policies know (`ManagedService.known_as`): what
    it may, the policy of the queue or topic says. `paths`: where that service answers for AWS's, by its name.
    """

    def __init__(self, client: ServiceClient, paths: Mapping[str, str]) -> None:
        self._client, self._paths = client, paths

    async def call(
        self, source_arn: str, namespace: str, service: str, region: str, operation: str, request: Mapping[str, Any]
    ) -> None:
        """As `RoleCalls.call`, for a resource of that namespace. Raises CallFault."""
        wire = _serialized(service, operation, dict(request))
        said = {**wire.headers, REGION: region, SOURCE_ARN: source_arn}
        try:
            response = await self._client.request(
                "POST", self._paths[service], namespace=namespace, headers=said, content=wire.body, idempotent=False
            )
        except ApiError as away:
            raise CallFault("ServiceUnavailable", away.message, lasting=False) from away
        if response.status_code >= 300:
            raise _fault_of(response)


class SignedCalls:
    """Calls in the name of a user whose access key we were given."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def answer(
        self, pair: KeyPair, service: str, region: str, operation: str, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The answer as the SDK has it. Raises CallFault."""
        from botocore.parsers import create_parser

        wire = _serialized(service, operation, dict(request))
        for wait in (*_WAITS_FOR_GATEWAY, None):
            response = await _sent(self._context, wire, region, (pair.id, pair.secret, None))
            if not isinstance(response, CallFault) and response.status_code < 300:
                model = _service_model(service)
                shape = model.operation_model(operation).output_shape
                told = {"status_code": response.status_code, "headers": response.headers, "body": response.content}
                return dict(create_parser(model.protocol).parse(told, shape))
            fault = response if isinstance(response, CallFault) else _fault_of(response)
            if wait is None or fault.code not in _UNKNOWN_KEY:
                raise fault
            await anyio.sleep(wait)
        raise AssertionError("the last wait is None")


async def _sent(
    context: ServiceContext, wire: _Wire, region: str, keys: tuple[str, str, str | None]
) -> httpx.Response | CallFault:
    request = _signed(wire, context.api, region, keys)
    try:
        return await context.client.send(request, auth=None)
    except httpx.HTTPError as error:
        return CallFault("ServiceUnavailable", f"{wire.signing_name} cannot be reached: {error!r}", lasting=False)


class _Wire(NamedTuple):
    signing_name: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@lru_cache(maxsize=1)
def spoken() -> frozenset[str]:
    """The AWS services of this cloud. No other model is ever loaded: some take more memory than a service has."""
    return frozenset(called(name) for each in managed_services() for name in each.speaks)


def operation_named(service: str, operation: str) -> str | None:
    """The operation of that name, in camel case or as the model has it; None where there is none. Raises LookupError
    for a service that this cloud does not speak.
    """
    if service not in spoken():
        raise LookupError(f"this cloud does not speak {service}; it speaks {', '.join(sorted(spoken()))}")
    names = load_model(service).operations
    wanted = operation[:1].upper() + operation[1:]
    return wanted if wanted in names else None


def _serialized(service: str, operation: str, request: dict[str, Any]) -> _Wire:
    """Raises CallFault for what the model does not have, and whatever else botocore cannot write."""
    from botocore.validate import ParamValidationError

    try:
        try:
            found = operation_named(service, operation)
        except LookupError as error:
            raise CallFault("UnknownService", str(error), lasting=True) from error
        if found is None:
            raise CallFault("UnknownOperationException", f"{service} has no operation {operation}", lasting=True)
        model = _service_model(service)
        shape = model.operation_model(found)
        made = _serializer(service).serialize_to_request(request, shape)
        return _Wire(model.signing_name, made["method"], _path(made), made["headers"], _body(made["body"]))
    except CallFault:
        raise
    except ParamValidationError as error:
        raise _no_request(service, _members(str(error.kwargs["report"]))) from None
    except Exception as error:
        raise _no_request(service, type(error).__name__) from None


def _no_request(service: str, why: str) -> CallFault:
    return CallFault("ValidationException", f"the input is no request of {service}: {why}", lasting=True)


def _members(report: str) -> str:
    """What botocore says of each member, without the value."""
    return "; ".join(line.partition(", value")[0].partition(" must be json")[0] for line in report.splitlines())


def _path(made: Mapping[str, Any]) -> str:
    from urllib.parse import urlencode

    query = made.get("query_string") or {}
    text = query if isinstance(query, str) else urlencode(query, doseq=True)
    path = str(made["url_path"])
    return path + (("&" if "?" in path else "?") + text if text else "")


def _body(body: Any) -> bytes:
    from urllib.parse import urlencode

    if isinstance(body, dict):  # of the query protocol
        return urlencode(body, doseq=True).encode()
    return body.encode() if isinstance(body, str) else bytes(body)


def _signed(wire: _Wire, api: str, region: str, keys: tuple[str, str, str | None]) -> httpx.Request:
    """Raises CallFault for what no request can have, such as a header that is not ASCII."""
    try:
        return _signed_request(wire, api, region, keys)
    except Exception as error:
        raise _no_request(wire.signing_name, type(error).__name__) from None


def _signed_request(wire: _Wire, api: str, region: str, keys: tuple[str, str, str | None]) -> httpx.Request:
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = f"{api.rstrip('/')}{wire.path}"
    request = AWSRequest(wire.method, url, headers=dict(wire.headers), data=wire.body)
    signer = S3SigV4Auth if wire.signing_name == "s3" else SigV4Auth
    signer(Credentials(*keys), wire.signing_name, region).add_auth(request)
    return httpx.Request(wire.method, url, headers=dict(request.headers.items()), content=wire.body)


@lru_cache(maxsize=16)
def _service_model(service: str) -> Any:
    from botocore.model import ServiceModel

    found = load_model(service)
    return ServiceModel({"metadata": found.metadata, "operations": found.operations, "shapes": found.shapes}, service)


@lru_cache(maxsize=16)
def _serializer(service: str) -> Any:
    from botocore.serialize import create_serializer

    return create_serializer(_service_model(service).protocol, include_validation=True)


def _fault_of(response: httpx.Response) -> CallFault:
    code, message = _told(response)
    lasting = response.status_code < 500 and response.status_code not in _RETRYABLE and code not in _UNKNOWN_KEY
    return CallFault(code, message, lasting=lasting and not any(each in code for each in _RETRYABLE_WORDS))


def _told(response: httpx.Response) -> tuple[str, str]:
    """The error's code and message, in whatever protocol it came."""
    text = response.text[: 4 * _MOST_SHOWN]
    try:
        body = response.json()
    except ValueError:
        code, message = _between(text, "Code"), _between(text, "Message")
        return code or f"HTTP{response.status_code}", message or text[:200]
    body = body if isinstance(body, dict) else {}
    code = str(body.get("__type") or response.headers.get("x-amzn-errortype") or f"HTTP{response.status_code}")
    return code.rpartition("#")[2].partition(":")[0], str(body.get("message") or body.get("Message") or "")


def _between(text: str, tag: str) -> str:
    return text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
