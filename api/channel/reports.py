"""`POST /internal/reports`: what gateways answered, for the audit log, the metrics and the map of traffic.

A report is a JSON object: `handler`, `method`, `code`, `seconds`, `stage`, `requestId`; `audit`: what the line of the
audit log is made of; `traffic`: [asker, service]; `used`: [access key, service]. Everything a gateway says here is
believed: it is the conductor's own program, at work elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from api.asgi import Receive, Response, Scope, read_body
from api.audit.notes import KEY, Notes
from api.auth.principal import Principal, Proof
from api.chain import AuditsRequests, CountsRequests
from api.traffic import CountsTraffic
from crds.errors import BadRequest

PATH = "/internal/reports"
MOST_BYTES = 8 * 2**20
_NOTED = ("aws", "service_tells", "access_key", "action", "resource", "caller", "decision", "reason")


class NotesUse(Protocol):
    """Hears of each access key that signed (`AccessKeys.used`)."""

    def __call__(self, access_key_id: str, service: str, /) -> None: ...


class Reports:
    """Takes reports in, each as if the request had been answered here."""

    def __init__(
        self, audit: AuditsRequests, metrics: CountsRequests, traffic: CountsTraffic, used: NotesUse
    ) -> None:
        self._audit, self._metrics, self._traffic, self._used = audit, metrics, traffic, used

    async def answer(self, receive: Receive) -> Response:
        """Raises BadRequest, TooLarge."""
        body = await read_body(receive, limit=MOST_BYTES)
        try:
            for line in body.splitlines():
                self._take(orjson.loads(line))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as wrong:
            raise BadRequest(f"this is no report of a gateway: {wrong!r}") from wrong
        return Response(204, b"")

    def _take(self, report: Mapping[str, Any]) -> None:
        code, seconds = int(report["code"]), float(report["seconds"])
        if "handler" in report:
            self._metrics.note(report["handler"], report["method"], code, None if report["watched"] else seconds)
        if "audit" in report:
            scope, who = read_audit(report["audit"])
            self._audit.note(scope, who, code, report["requestId"], report["stage"])
        if "traffic" in report:
            asker, service = report["traffic"]
            self._traffic.note(asker, service, code, seconds)
        if "used" in report:
            self._used(*report["used"])


def audit_fields(scope: Scope, notes: Notes, who: Principal | None) -> dict[str, Any]:
    """Everything that a line of the audit log says, of a request that was answered elsewhere."""
    agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
    return {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode("latin-1"),
        "client": (scope.get("client") or ("",))[0],
        "agent": agent.decode("latin-1"),
        "notes": {name: getattr(notes, name) for name in _NOTED},
        "annotations": notes.annotations,
        "who": _who(who) if who else None,
    }


def read_audit(fields: Mapping[str, Any]) -> tuple[Scope, Principal | None]:
    """The request and who asked, as far as the audit log looks at them. Raises KeyError, TypeError."""
    notes = Notes(**{name: fields["notes"][name] for name in _NOTED}, annotations=dict(fields["annotations"]))
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


def _who(who: Principal) -> dict[str, Any]:
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
