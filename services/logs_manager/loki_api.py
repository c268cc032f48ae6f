"""Loki's HTTP API: what Grafana, logcli, promtail and Loki's clients ask and push.

Below `/loki/api/v1/`. A caller sees the streams of their namespace; who may read (names of
labels: list) LogGroups everywhere sees all.
Errors are plain text, as Loki's. Source: grafana.com/docs/loki/latest/reference/loki-http-api.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import Any, NamedTuple
from urllib.parse import unquote

from crds.errors import BadRequest, MethodNotAllowed, NotFound, TooLarge, UnsupportedMedia
from services.logs_manager import loki_answers as answers
from services.logs_manager.kinds import LOG_GROUP
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.logql.evaluate import MOST_LINES, Source, Steps, lines_of, matching, metric_of
from services.logs_manager.logql.matching import require_selective, selects
from services.logs_manager.logql.nodes import LogQuery, MetricQuery, Number
from services.logs_manager.logql.parser import parse, parse_selector
from services.logs_manager.parameters import NS, Parameters
from services.logs_manager.push import MOST_BODY, MOST_RAW, Pushed, of_json, of_protobuf
from services.logs_manager.queries import Queries
from services.logs_manager.store.reader import LogReader, Span, TookTooLong
from services.logs_manager.store.streams import Stream
from services.logs_manager.taking import Taking
from services.sdk.asgi import (
    Receive,
    Scope,
    Send,
    header_of,
    media_type,
    note_action,
    read_body,
    send_bytes,
    send_json,
)
from services.sdk.context import ServiceContext
from services.sdk.identity import Caller
from services.sdk.packed_bodies import unpacked
from services.sdk.permissions import GuardedApp, Permission
from services.sdk.query_members import require_form

PREFIX = "/loki/api/v1/"
HOUR = 3_600 * NS
_FORM, _SMALL = 1 << 20, 4 << 10
_READ, _LIST, _WRITE = (Permission(verb, LOG_GROUP) for verb in ("get", "list", "use"))


class Asked(NamedTuple):
    """One request that its caller may make. `namespace`: all that is seen of; None for everything."""

    caller: Caller
    namespace: str | None
    path: str
    query: bytes
    body: bytes
    scope: Scope


class Endpoint(NamedTuple):
    handler: Callable[[LokiApi, Asked], Awaitable[Any]]
    methods: tuple[str, ...]
    permission: Permission = _READ


class LokiApi:
    """As `GuardedApp`. What is no path of its own goes to `then`."""

    def __init__(
        self, context: ServiceContext, queries: Queries, taking: Taking, reading: Executor, then: GuardedApp
    ) -> None:
        """`reading`: where large pushes are taken apart."""
        self._context, self._queries, self._taking, self._then = context, queries, taking, then
        self._reading = reading

    def permissions(self) -> Mapping[str, Permission | None]:
        own = {
            f"{method} {PREFIX}{path}": each.permission for path, each in _PATHS.items() for method in each.methods
        }
        return {**own, **self._then.permissions()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(PREFIX):
            await self._then(scope, receive, send)
            return
        endpoint, name = _found(scope)
        asked = await self._asked(endpoint, name, scope, receive)
        try:
            answer = await endpoint.handler(self, asked)
        except (QueryFault, TookTooLong) as fault:
            await send_bytes(send, 400, str(fault).encode(), "text/plain; charset=utf-8")
        except BadRequest as error:
            await send_bytes(send, 400, error.message.encode(), "text/plain; charset=utf-8")
        else:
            await _send(send, answer)

    async def _asked(self, endpoint: Endpoint, name: str, scope: Scope, receive: Receive) -> Asked:
        """Raises Forbidden, TooLarge, UnsupportedMedia."""
        caller: Caller = scope["state"]["caller"]
        wanted = endpoint.permission
        kind, review = wanted.kind, self._context.authorizer
        note_action(scope, f"{kind.plural}:{wanted.verb}", caller.namespace)
        everywhere = wanted is not _WRITE and await review.allows(
            caller, wanted.verb, kind.plural, kind.group, "", ""
        )
        if not everywhere:
            await review.require(caller, wanted.verb, kind.plural, kind.group, "", caller.namespace)
        limit = MOST_BODY if wanted is _WRITE else _FORM
        body = await read_body(receive, limit)
        if body is None:
            raise TooLarge(f"the body is over {limit} bytes")
        if wanted is not _WRITE:
            require_form(scope, body)
        return Asked(caller, None if everywhere else caller.namespace, name, scope["query_string"], body, scope)

    async def push(self, asked: Asked) -> None:
        """204 once all of it is durable. What a retry cannot cure is answered with 400."""
        Parameters(asked.query, b"", ())
        sent = media_type(header_of(asked.scope, "content-type"))
        if sent == "application/json":
            coding = header_of(asked.scope, "content-encoding") or "identity"
            pushed = await self._read(asked, lambda body: of_json(unpacked(body, coding, MOST_RAW)))
        elif sent == "application/x-protobuf":
            pushed = await self._read(asked, of_protobuf)
        else:
            raise UnsupportedMedia(f"a push is application/json or application/x-protobuf, not {sent or 'nothing'}")
        await self._taking.pushed(asked.caller.namespace, pushed)

    async def _read(self, asked: Asked, read: Callable[[bytes], list[Pushed]]) -> list[Pushed]:
        """A large one beside the event loop. Raises BadRequest, TooLarge, UnsupportedMedia."""
        if len(asked.body) <= _SMALL and not header_of(asked.scope, "content-encoding"):
            return read(asked.body)
        return await asyncio.get_running_loop().run_in_executor(self._reading, read, asked.body)

    async def query(self, asked: Asked) -> Any:
        found = _members(asked, ("query", "limit", "time", "direction"))
        at, text = found.moment("time", self._queries.now()), found.text("query")
        query = parse(text)
        source = self._queries.of_namespace(asked.namespace)
        if isinstance(query, LogQuery):
            return await self._lines(query, source, Span(at - HOUR, at + 1), found)
        if isinstance(query, Number) and not query.is_vector:
            return answers.scalar(query.value, at)
        steps = Steps(at, at, NS)
        return await self._queries.run(lambda reader: answers.vector(metric_of(reader, source, query, steps), at))

    async def query_range(self, asked: Asked) -> Any:
        found = _members(asked, ("query", "limit", "start", "end", "since", "step", "interval", "direction"))
        query, span = parse(found.text("query")), self._span(found)
        if found.has("interval"):
            raise BadRequest("interval: is not done here; ask with a limit")
        source = self._queries.of_namespace(asked.namespace)
        if isinstance(query, LogQuery):
            return await self._lines(query, source, span, found)
        return await self._matrix(query, source, span, found)

    async def _lines(self, query: LogQuery, source: Source, span: Span, found: Parameters) -> Any:
        newest = _newest_first(found)
        limit = found.count("limit", 100, MOST_LINES)
        return await self._queries.run(
            lambda reader: answers.streams(lines_of(reader, source, query, span, limit, newest=newest), newest=newest)
        )

    async def _matrix(self, query: MetricQuery, source: Source, span: Span, found: Parameters) -> Any:
        step = found.duration("step", max(round((span.end - span.start) / NS / 250), 1) * 1000) * 1_000_000
        steps = Steps(span.start, span.end, step)
        return await self._queries.run(lambda reader: answers.matrix(metric_of(reader, source, query, steps), steps))

    async def labels(self, asked: Asked) -> Any:
        found = _members(asked, ("start", "end", "since", "query"))
        names = {name for each in await self._matched(asked, found) for name in each.labels}
        return sorted(names)

    async def label_values(self, asked: Asked) -> Any:
        found = _members(asked, ("start", "end", "since", "query"))
        streams = await self._matched(asked, found)
        return sorted({each.labels[asked.path] for each in streams if asked.path in each.labels})

    async def series(self, asked: Asked) -> Any:
        found = _members(asked, ("start", "end", "since"), ("match[]", "match"))
        return [each.labels for each in await self._matched(asked, found)]

    async def stats(self, asked: Asked) -> Any:
        """Of streams that have lines in that time: all of their lines."""
        streams = await self._matched(asked, _members(asked, ("start", "end", "since", "query")))
        ids = [each.id for each in streams]
        sizes = await self._queries.run(lambda reader: reader.sizes(ids))
        return {
            "streams": len(streams),
            "chunks": len(streams),
            "entries": sum(each.lines for each in sizes.values()),
            "bytes": sum(each.stored for each in sizes.values()),
        }

    async def buildinfo(self, asked: Asked) -> Any:
        _members(asked, ())
        return {"version": "3.0.0", "revision": "aerekos", "branch": "HEAD", "buildUser": "", "buildDate": ""}

    async def _matched(self, asked: Asked, found: Parameters) -> list[Stream]:
        """Raises QueryFault, BadRequest."""
        span = self._span(found, 6 * HOUR)
        texts = [*found.list("match[]"), *found.list("match"), *found.list("query")]
        selectors = [parse_selector(each) for each in texts if each]
        for each in selectors:
            require_selective(each)
        tests = [selects(each) for each in selectors] or [lambda _: True]
        streams = self._queries.of_namespace(asked.namespace).streams()

        def ask(reader: LogReader) -> list[Stream]:
            chosen = {each.id: each for each in matching(reader, streams, tests)}
            written = reader.written_in(chosen.keys(), span)
            return [stream for id, stream in chosen.items() if id in written]

        return await self._queries.run(ask)

    def _span(self, found: Parameters, before: int = HOUR) -> Span:
        """Raises BadRequest."""
        end = found.moment("end", self._queries.now())
        since = found.duration("since", before // 1_000_000) * 1_000_000
        start = found.moment("start", max(end - since, 0))
        if end < start:
            raise BadRequest("end: is before start")
        return Span(start, end)


_BOTH = ("GET", "POST")
_PATHS: dict[str, Endpoint] = {
    "push": Endpoint(LokiApi.push, ("POST",), _WRITE),
    "query": Endpoint(LokiApi.query, _BOTH),
    "query_range": Endpoint(LokiApi.query_range, _BOTH),
    "series": Endpoint(LokiApi.series, _BOTH),
    "labels": Endpoint(LokiApi.labels, _BOTH, _LIST),
    "label/{name}/values": Endpoint(LokiApi.label_values, _BOTH, _LIST),
    "index/stats": Endpoint(LokiApi.stats, _BOTH, _LIST),
    "status/buildinfo": Endpoint(LokiApi.buildinfo, ("GET",), _LIST),
}


def _found(scope: Scope) -> tuple[Endpoint, str]:
    """Raises NotFound, MethodNotAllowed."""
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    path, name = raw.removeprefix(PREFIX), ""
    parts = path.split("/")
    if len(parts) == 3 and parts[0] == "label" and parts[2] == "values":
        path, name = "label/{name}/values", unquote(parts[1])
    endpoint = _PATHS.get(path)
    if endpoint is None:
        raise NotFound(f"{scope['path']} is not served here")
    if scope["method"] not in endpoint.methods:
        raise MethodNotAllowed(f"{scope['path']} takes {', '.join(endpoint.methods)}, not {scope['method']}")
    return endpoint, name


async def _send(send: Send, answer: Any) -> None:
    if answer is None:
        await send_bytes(send, 204, b"", "text/plain")
    elif isinstance(answer, dict) and "resultType" not in answer:
        await send_json(send, 200, answer)
    else:
        await send_json(send, 200, {"status": "success", "data": answer})


def _members(asked: Asked, known: tuple[str, ...], lists: tuple[str, ...] = ()) -> Parameters:
    return Parameters(asked.query, asked.body, known, lists)


def _newest_first(found: Parameters) -> bool:
    direction = found.text("direction", "backward").lower()
    if direction not in ("backward", "forward"):
        raise BadRequest("direction: is backward or forward")
    return direction == "backward"
