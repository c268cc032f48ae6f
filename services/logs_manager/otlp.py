"""What OpenTelemetry's SDKs and collectors send: requests of OTLP over HTTP, as protobuf or JSON, and their values.

Source: opentelemetry.io/docs/specs/otlp; opentelemetry-proto. Members that are not known are passed over, as the
protocol has it.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

import orjson

from crds.errors import BadRequest, UnsupportedMedia
from services.sdk.asgi import media_type
from services.sdk.packed_bodies import unpacked
from services.sdk.routes import Request, Response

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST_ITEMS, DEEPEST, _SMALL = 20_000, 16, 4 << 10
MOST_RAW = 16 << 20
"""Bytes that a body unpacks to, and characters that lines or spans are made of."""
T = TypeVar("T")
_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


def sent_type(request: Request) -> str:
    """Raises UnsupportedMedia."""
    sent = media_type(request.headers.get("content-type"))
    if sent not in (PROTOBUF, JSON):
        raise UnsupportedMedia(f"OTLP is taken as {PROTOBUF} or {JSON}, not as {sent or 'a body without a type'}")
    return sent


def read_into(message: Any, request: Request) -> None:
    """Raises UnsupportedMedia, BadRequest, TooLarge."""
    from google.protobuf.json_format import ParseDict, ParseError
    from google.protobuf.message import DecodeError

    body = unpacked(bytes(request.body), request.headers.get("content-encoding") or "identity", MOST_RAW)
    try:
        if sent_type(request) == PROTOBUF:
            message.ParseFromString(body)
        else:
            ParseDict(_with_ids(orjson.loads(body), 0), message, ignore_unknown_fields=True, max_recursion_depth=40)
    except (DecodeError, ParseError, ValueError, TypeError, AttributeError) as error:
        raise BadRequest(f"the body is no {type(message).__name__} of OTLP: {str(error)[:200]}") from None


async def beside_the_loop(reading: Executor, request: Request, read: Callable[[], T]) -> T:
    """What `read` makes of the request: of a large one, or one that may become large, in `reading`. Raises what it
    raises.
    """
    if len(request.body) <= _SMALL and "content-encoding" not in request.headers:
        return read()
    return await asyncio.get_running_loop().run_in_executor(reading, read)


def require_few(parts: Sequence[Any], scopes: Callable[[Any], Any], items: Callable[[Any], Any]) -> None:
    """For before anything is made of them: a few bytes may stand for many. Raises BadRequest."""

    def counts() -> Iterable[int]:
        yield len(parts)
        yield sum(len(scopes(part)) for part in parts)
        yield sum(len(items(scope)) for part in parts for scope in scopes(part))

    if any(count > MOST_ITEMS for count in counts()):
        raise BadRequest(f"at most {MOST_ITEMS} records or spans are taken at once: lower send_batch_max_size")


def answer(message: Any, request: Request) -> Response:
    """In the words the request came in."""
    if sent_type(request) == PROTOBUF:
        return Response(message.SerializeToString(), content_type=PROTOBUF)
    from google.protobuf.json_format import MessageToJson

    return Response(MessageToJson(message, indent=None).encode())


def _with_ids(value: Any, depth: int) -> Any:
    """OTLP writes ids in hexadecimal digits where JSON of protobuf has base64."""
    if depth > 40:
        raise ValueError("it is nested too deeply")
    if isinstance(value, list):
        return [_with_ids(each, depth + 1) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(each)).decode()
        if key in _IDS and isinstance(each, str)
        else _with_ids(each, depth + 1)
        for key, each in value.items()
    }


def attributes_of(found: Iterable[Any]) -> dict[str, Any]:
    """As JSON has them."""
    return {each.key: value_of(each.value) for each in found}


def value_of(value: Any, depth: int = 0) -> Any:
    """An AnyValue as JSON has it; bytes in base64. Raises BadRequest."""
    if depth > DEEPEST:
        raise BadRequest(f"a value is nested more than {DEEPEST} deep")
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "array_value":
        return [value_of(each, depth + 1) for each in found.values]
    if kind == "kvlist_value":
        return {each.key: value_of(each.value, depth + 1) for each in found.values}
    return base64.b64encode(found).decode() if kind == "bytes_value" else found


def text_of(value: Any) -> str:
    """A value as one text."""
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
