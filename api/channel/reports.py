"""`POST /internal/reports`: what gateways answered, for the audit log, the metrics and the map of traffic.

Lines of JSON. The first counts: `counted`: [handler, method, code, seconds or null] of each answer; `traffic`:
[asker, service, code, seconds]; `used`: [access key, service]; `wanted`: services that somebody waits for, or is
being answered by. Each other one is what a line of the audit log is made of.
Everything a gateway says here is believed: it is the conductor's own program, at work elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Protocol

import anyio
import anyio.lowlevel
import orjson

from api.asgi import Receive, Response, Scope, read_body
from api.audit.notes import KEY, Notes
from api.auth.principal import Principal, Proof
from api.chain import AuditsRequests, CountsRequests
from api.traffic import CountsTraffic
from crds.errors import BadRequest

PATH = "/internal/reports"
MOST_BYTES = 8 * 2**20
_BETWEEN_TURNS = 20
"""Lines until others get their turn: a batch is hundreds of them, and watches must not wait for all."""
_REMEMBERED = 1_000
_NOTED = ("aws", "service_tells", "access_key", "action", "resource", "caller", "decision", "reason")
_noted = attrgetter(*_NOTED)


class NotesUse(Protocol):
    """Hears of each access key that signed (`AccessKeys.used`)."""

    def __call__(self, access_key_id: str, service: str, /) -> None: ...


class CountsEvents(Protocol):
    """Hears of what gateways did beside answering (`api.gateway_metrics.GatewayCounts`)."""

    def note(self, event: str, subject: str, instance: str = ..., seconds: float = ...) -> None: ...


class Reports:
    """Takes reports in, each as if the request had been answered here."""

    def __init__(
        self,
        audit: AuditsRequests,
        metrics: CountsRequests,
        traffic: CountsTraffic,
        used: NotesUse,
        events: CountsEvents,
        note_service_use: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._audit, self._metrics, self._traffic, self._used = audit, metrics, traffic, used
        self._events, self._note_service_use = events, note_service_use

    async def answer(self, receive: Receive) -> Response:
        """Raises BadRequest, TooLarge."""
        body = await read_body(receive, limit=MOST_BYTES)
        try:
            counts, *lines = body.split(b"\n")
            self._count(orjson.loads(counts))
            for number, line in enumerate(lines):
                if number % _BETWEEN_TURNS == 0:
                    await anyio.lowlevel.checkpoint()
                self._audit_one(orjson.loads(line))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as wrong:
            raise BadRequest(f"this is no report of a gateway: {wrong!r}") from wrong
        return Response(204, b"")

    def _count(self, counts: Mapping[str, Any]) -> None:
        for handler, method, code, seconds in counts["counted"]:
            self._metrics.note(handler, method, int(code), None if seconds is None else float(seconds))
        for asker, service, code, seconds in counts["traffic"]:
            self._traffic.note(asker, service, int(code), float(seconds))
            self._note_service_use(service)
        for service in counts.get("wanted", ()):  # a gateway of the version before knows none
            self._note_service_use(service)
        for access_key_id, service in counts["used"]:
            self._used(access_key_id, service)
        for event, subject, instance, duration in counts["events"]:
            self._events.note(event, subject, instance, float(duration))

    def _audit_one(self, fields: Mapping[str, Any]) -> None:
        scope, who = read_audit(fields)
        self._audit.note(scope, who, int(fields["code"]), fields["requestId"], fields["stage"])


def counts_line(
    counted: Sequence[tuple[str, str, int, float | None]],
    traffic: Sequence[tuple[str, str, int, float]],
    used: Sequence[tuple[str, str]],
    events: Sequence[tuple[str, str, str, float]] = (),
    wanted: Sequence[str] = (),
) -> bytes:
    """The first line of a report."""
    return orjson.dumps({"counted": counted, "traffic": traffic, "used": used, "events": events, "wanted": wanted})


def audit_line(scope: Scope, notes: Notes, who: Principal | None, code: int, request_id: str, stage: str) -> bytes:
    """Each other line: everything that the audit log says of a request that was answered elsewhere."""
    agent = b""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            agent = value
            break
    fields = {
        "code": code,
        "requestId": request_id,
        "stage": stage,
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode("latin-1"),
        "client": (scope.get("client") or ("",))[0],
        "agent": agent.decode("latin-1"),
        "notes": _noted(notes),
        "decided": notes.decided,
        "annotations": notes.annotations,
        "who": _who(who) if who else None,
    }
    return orjson.dumps(fields)


def read_audit(fields: Mapping[str, Any]) -> tuple[Scope, Principal | None]:
    """The request and who asked, as far as the audit log looks at them. Raises KeyError, TypeError."""
    noted = zip(_NOTED, fields["notes"], strict=True)
    decided = fields.get("decided", "")  # a gateway of the version before tells none
    notes = Notes(**dict(noted), decided=decided, annotations=dict(fields["annotations"]))
    scope: Scope = {
        "type": "http",
        "method": fields["method"],
        "path": fields["path"],
        "query_string": fields["query"].encode("latin-1"),
        "client": (fields["client"], 0),
        "headers": [(b"user-agent", fields["agent"].encode("latin-1"))] if fields["agent"] else [],
        KEY: notes,
    }
    return scope, _principal(fields["who"]) if fields["who"] else None


class _Known:
    """What was said of principals lately: gateways know the same few, as the same objects, for a long time."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Principal, dict[str, Any]]] = {}

    def __call__(self, who: Principal) -> dict[str, Any]:
        known = self._known.get(id(who))
        if known is None or known[0] is not who:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[id(who)] = (who, _told(who))
        return known[1]


_who = _Known()


def _told(who: Principal) -> dict[str, Any]:
    told: dict[str, Any] = {"name": who.name, "groups": sorted(who.groups), "namespace": who.namespace}
    if who.acting:
        told["acting"] = who.acting
    if who.session:
        told["sid"] = who.session
    return told


def _principal(fields: Mapping[str, Any]) -> Principal:
    proof = Proof({"sid": fields["sid"]}, float("inf")) if "sid" in fields else None
    return Principal(
        fields["name"],
        frozenset(fields["groups"]),
        fields["namespace"],
        acting=fields.get("acting", ""),
        proof=proof,
    )
