"""The identity of a request, the same at every hop: its id and its trace context, kept in its scope.

Source: W3C Trace Context. `X-Request-ID` has no standard; every proxy has it.
"""

from __future__ import annotations

import itertools
import random
import re
import secrets

from api.asgi import Scope
from controller.kit.tracing import TRACEPARENT, traceparent
from services.sdk.asgi import header_map

REQUEST_ID_HEADER = b"x-request-id"
REQUEST_ID, TRACE = "aerekos.request_id", "aerekos.trace"
PRINCIPAL, UPSTREAM = "aerekos.principal", "aerekos.upstream"
"""Where a scope has the name of who asked, if somebody else found out, and (service, instance) that answers."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Request ids: unlike those of any other process, and cheap, for every request has one.
_PROCESS, _COUNT = secrets.token_hex(4).encode(), itertools.count()
_RANDOM = random.Random(secrets.token_bytes(32))  # noqa: S311 (unlike others, and no secret)
_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def request_id_of(scope: Scope) -> bytes:
    """The client's, if it is a good one, or a new one."""
    found: bytes | None = scope.get(REQUEST_ID)
    if found is None:
        given = header_map(scope).get(REQUEST_ID_HEADER)
        is_good = given is not None and _REQUEST_ID.fullmatch(given)
        found = scope[REQUEST_ID] = given if is_good and given else b"%s%08x" % (_PROCESS, next(_COUNT))
    return found


def trace_context(scope: Scope) -> tuple[bytes, bytes]:
    """The trace context header of the next hop: as it came, where nothing is traced here."""
    found: bytes | None = scope.get(TRACE)
    if found is None:
        given = header_map(scope).get(TRACEPARENT)
        is_good = given is not None and _TRACEPARENT.fullmatch(given)
        found = scope[TRACE] = traceparent() or (given if is_good and given else _new_trace())
    return TRACEPARENT, found


def _new_trace() -> bytes:
    return b"00-%032x-%016x-01" % (_RANDOM.getrandbits(128) or 1, _RANDOM.getrandbits(64) or 1)
