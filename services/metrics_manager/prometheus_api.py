"""The HTTP API of Prometheus, and its remote write: what Grafana, promtool and Prometheus itself ask.

Below `/api/v1/`. A caller sees the series of their namespace; who may list ScrapeTargets everywhere sees all. Errors
are worded as Prometheus words them. Source: prometheus.io/docs/prometheus/latest/querying/api.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from crds.errors import BadRequest, NotFound, TooLarge, UnsupportedMedia
from services.metrics_manager import alert_views as views
from services.metrics_manager import api_answers as answers
from services.metrics_manager.alerts.book import AlertBook
from services.metrics_manager.alerts.evaluating import Evaluator
from services.metrics_manager.api_parameters import Parameters
from services.metrics_manager.kinds import SCRAPE_TARGET
from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.labels import value_of
from services.metrics_manager.queries import Queries
from services.metrics_manager.remote_write import MOST_BODY, RemoteWrites
from services.metrics_manager.scrape_loop import ScrapeLoop
from services.metrics_manager.store.sample_store import AHEAD_MS, RETENTION_MS, SampleStore
from services.metrics_manager.taking import keep
from services.sdk.asgi import Receive, Scope, Send, header_of, note_action, read_body, send_bytes, send_json
from services.sdk.context import ServiceContext
from services.sdk.identity import Caller
from services.sdk.permissions import Permission
from services.sdk.query_members import require_form

PREFIX = "/api/v1/"
_FORM = 1 << 20
_READ, _WRITE = Permission("list", SCRAPE_TARGET), Permission("create", SCRAPE_TARGET)
_CODES = {"bad_data": 400, "execution": 422, "timeout": 503}


class Asked(NamedTuple):
    """One request that its caller may make. `namespace`: all that is seen of; None for everything."""

    caller: Caller
    namespace: str | None
    path: tuple[str, ...]
    query: bytes
    form: bytes
    scope: Scope


Handler = Callable[["PrometheusApi", Asked], Awaitable[Any]]


class Endpoint(NamedTuple):
    handler: Handler
    methods: tuple[str, ...]
    permission: Permission = _READ


class PrometheusApi:
    """As `GuardedApp`."""

    def __init__(
        self,
        context: ServiceContext,
        store: SampleStore,
        queries: Queries,
        loop: ScrapeLoop,
        evaluator: Evaluator,
        book: AlertBook,
    ) -> None:
        self._context, self._store, self._queries, self._loop = context, store, queries, loop
        self._evaluator, self._book, self._writes = evaluator, book, RemoteWrites()

    def permissions(self) -> Mapping[str, Permission | None]:
        return {
            f"{method} {PREFIX}{path}": each.permission for path, each in _PATHS.items() for method in each.methods
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint, rest = _found(scope)
        try:
            asked = await self._asked(endpoint, rest, scope, receive)
            answer = await endpoint.handler(self, asked)
        except QueryError as error:
            await _refuse(send, _CODES[error.type], error.type, str(error))
        except BadRequest as error:
            await _refuse(send, 400, "bad_data", error.message)
        else:
            if answer is None:
                await send_bytes(send, 204, b"", "text/plain")
            else:
                await send_json(send, 200, {"status": "success", "data": answer})

    async def _asked(self, endpoint: Endpoint, rest: tuple[str, ...], scope: Scope, receive: Receive) -> Asked:
        """Raises Forbidden, BadRequest, TooLarge."""
        caller: Caller = scope["state"]["caller"]
        wanted = endpoint.permission
        kind, review = wanted.kind, self._context.authorizer
        note_action(scope, f"{kind.plural}:{wanted.verb}", caller.namespace)
        everywhere = await review.allows(caller, wanted.verb, kind.plural, kind.group, "", "")
        if not everywhere:
            await review.require(caller, wanted.verb, kind.plural, kind.group, "", caller.namespace)
        limit = MOST_BODY if endpoint.permission is _WRITE else _FORM
        body = await read_body(receive, limit)
        if body is None:
            raise TooLarge(f"the body is over {limit} bytes")
        if wanted is _READ:
            require_form(scope, body)
        return Asked(caller, None if everywhere else caller.namespace, rest, scope["query_string"], body, scope)

    def _now(self) -> int:
        return round(self._context.clock.now().timestamp() * 1000)

    async def query(self, asked: Asked) -> Any:
        found = _members(asked, ("query", "time", "timeout", "limit", "lookback_delta"))
        at = found.moment("time", self._now())
        query, limit = found.text("query"), found.count("limit")
        return await self._queries.instant(query, at, asked.namespace, limit, **_bounds(found))

    async def query_range(self, asked: Asked) -> Any:
        found = _members(asked, ("query", "start", "end", "step", "timeout", "limit", "lookback_delta"))
        start, end, step = found.moment("start"), found.moment("end"), found.duration("step")
        query, limit = found.text("query"), found.count("limit")
        return await self._queries.range(query, start, end, step, asked.namespace, limit, **_bounds(found))

    async def series(self, asked: Asked) -> Any:
        found = _members(asked, ("start", "end", "limit"), ("match[]",))
        if not found.list("match[]"):
            raise BadRequest("no match[] parameter provided")
        labels = await self._matched(asked, found)
        return [answers.metric(each) for each in _limited(sorted(labels), found.count("limit"))]

    async def labels(self, asked: Asked) -> Any:
        found = _members(asked, ("start", "end", "limit"), ("match[]",))
        names = {name for labels in await self._matched(asked, found) for name, _ in labels}
        return _limited(sorted(names), found.count("limit"))

    async def label_values(self, asked: Asked) -> Any:
        found = _members(asked, ("start", "end", "limit"), ("match[]",))
        wanted = _unescaped(asked.path[0])
        values = {value for labels in await self._matched(asked, found) for name, value in labels if name == wanted}
        return _limited(sorted(values), found.count("limit"))

    async def _matched(self, asked: Asked, found: Parameters) -> Any:
        start, end = found.moment("start", 0), found.moment("end", self._now() + AHEAD_MS)
        return await self._queries.series(found.list("match[]"), start, end, asked.namespace)

    async def metadata(self, asked: Asked) -> Any:
        found = _members(asked, ("metric", "limit", "limit_per_metric"))
        wanted, known = found.text("metric", ""), self._loop.metadata(asked.namespace)
        chosen = [wanted] if wanted in known else ([] if wanted else sorted(known))
        return {
            name: [{"type": known[name].type, "help": known[name].help, "unit": ""}]
            for name in _limited(chosen, found.count("limit"))
        }

    async def buildinfo(self, asked: Asked) -> Any:
        _members(asked, ())
        return {
            "version": "2.55.0",
            "revision": "aerekos",
            "branch": "HEAD",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        }

    async def runtimeinfo(self, asked: Asked) -> Any:
        _members(asked, ())
        return {
            "timeSeriesCount": len(self._store.index),
            "storageRetention": f"{RETENTION_MS // 86_400_000}d",
            "reloadConfigSuccess": True,
            "corruptionCount": 0,
        }

    async def targets(self, asked: Asked) -> Any:
        found = _members(asked, ("state", "scrapePool"))
        if found.text("state", "any") == "dropped":
            return {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}}
        pool = found.text("scrapePool", "")
        shown = [
            answers.target(each.labels, each.url, each.seen, each.interval)
            for each in self._loop.targets()
            if asked.namespace in (None, each.labels.get("namespace")) and pool in ("", each.labels.get("job"))
        ]
        return {"activeTargets": shown, "droppedTargets": [], "droppedTargetCounts": {}}

    async def rules(self, asked: Asked) -> Any:
        """By namespace; the platform's are a group of their own."""
        found = _members(asked, ("type", "exclude_alerts"), ("rule_name[]", "rule_group[]"))
        if found.text("type", "alert") == "record":
            return {"groups": []}
        names = found.list("rule_name[]")
        groups: dict[str, list[Any]] = {}
        for rule in self._evaluator.rules():
            if asked.namespace not in (None, rule.namespace) or (names and rule.name not in names):
                continue
            alerts = [] if found.text("exclude_alerts", "") == "true" else list(self._book.of(rule.key).values())
            shown = views.rule_view(
                rule, alerts, self._evaluator.errors.get(rule.key, ""), self._evaluator.at(rule.key)
            )
            groups.setdefault(rule.namespace or "platform", []).append(shown)
        wanted, round = found.list("rule_group[]") or list(groups), self._evaluator.evaluated_at
        return {"groups": [views.group_view(name, rules, round) for name, rules in groups.items() if name in wanted]}

    async def alerts(self, asked: Asked) -> Any:
        _members(asked, ())
        shown = [
            views.alert_view(each)
            for each in self._book.all()
            if each.state != "resolved" and asked.namespace in (None, value_of(each.labels, "namespace"))
        ]
        return {"alerts": shown}

    async def exemplars(self, asked: Asked) -> Any:
        _members(asked, ("query", "start", "end"))
        return []

    async def write(self, asked: Asked) -> None:
        """204 once all of it is durable."""
        _members(Asked(asked.caller, asked.namespace, asked.path, asked.query, b"", asked.scope), ())
        version = header_of(asked.scope, "x-prometheus-remote-write-version") or "0.1.0"
        kind = (header_of(asked.scope, "content-type") or "").replace(" ", "").lower()
        if "io.prometheus.write.v2" in kind or not version.startswith("0.1"):
            raise UnsupportedMedia(
                "remote write 1.0 is taken here, not 2.0: protobuf_message: prometheus.WriteRequest"
            )
        if (header_of(asked.scope, "content-encoding") or "snappy") != "snappy":
            raise UnsupportedMedia("the body is to be in snappy's block format")
        samples = self._writes.samples(asked.form, asked.namespace)
        await keep(self._store, samples, self._now(), "a sample")


_BOTH = ("GET", "POST")
_PATHS: dict[str, Endpoint] = {
    "query": Endpoint(PrometheusApi.query, _BOTH),
    "query_range": Endpoint(PrometheusApi.query_range, _BOTH),
    "query_exemplars": Endpoint(PrometheusApi.exemplars, _BOTH),
    "series": Endpoint(PrometheusApi.series, _BOTH),
    "labels": Endpoint(PrometheusApi.labels, _BOTH),
    "label/{name}/values": Endpoint(PrometheusApi.label_values, ("GET",)),
    "metadata": Endpoint(PrometheusApi.metadata, ("GET",)),
    "targets": Endpoint(PrometheusApi.targets, ("GET",)),
    "rules": Endpoint(PrometheusApi.rules, ("GET",)),
    "alerts": Endpoint(PrometheusApi.alerts, ("GET",)),
    "status/buildinfo": Endpoint(PrometheusApi.buildinfo, ("GET",)),
    "status/runtimeinfo": Endpoint(PrometheusApi.runtimeinfo, ("GET",)),
    "write": Endpoint(PrometheusApi.write, ("POST",), _WRITE),
}


def _found(scope: Scope) -> tuple[Endpoint, tuple[str, ...]]:
    """Raises NotFound, MethodNotAllowed."""
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    path = raw.removeprefix(PREFIX)
    rest: tuple[str, ...] = ()
    parts = path.split("/")
    if len(parts) == 3 and parts[0] == "label" and parts[2] == "values":
        path, rest = "label/{name}/values", (unquote(parts[1]),)
    endpoint = _PATHS.get(path) if raw.startswith(PREFIX) else None
    if endpoint is None:
        raise NotFound(f"{scope['path']} is not served here")
    if scope["method"] not in endpoint.methods:
        raise BadRequest(f"{scope['path']} takes {', '.join(endpoint.methods)}, not {scope['method']}")
    return endpoint, rest


def _members(asked: Asked, known: tuple[str, ...], lists: tuple[str, ...] = ()) -> Parameters:
    return Parameters(asked.query, asked.form, known, lists)


def _bounds(found: Parameters) -> dict[str, int]:
    """Raises BadRequest."""
    bounds = {"timeout": found.duration("timeout", 0), "lookback": found.duration("lookback_delta", 0)}
    if any(each < 0 for each in bounds.values()):
        raise BadRequest("timeout, lookback_delta: no less than nothing")
    return bounds


def _limited(found: list[Any], limit: int) -> list[Any]:
    return found[:limit] if limit else found


def _unescaped(name: str) -> str:
    """`U__a_2e_b` is how a name that is no identifier stands in a path."""
    if not name.startswith("U__"):
        return name
    text, rest = "", name[3:]
    while rest:
        before, mark, rest = rest.partition("_")
        text += before
        if not mark:
            break
        if rest.startswith("_"):
            text, rest = text + "_", rest[1:]
            continue
        code, _, rest = rest.partition("_")
        try:
            text += chr(int(code, 16))
        except (ValueError, OverflowError):
            raise BadRequest(f"{name!r} is no name of a label") from None
    return text


async def _refuse(send: Send, code: int, type: str, message: str) -> None:
    await send_json(send, code, {"status": "error", "errorType": type, "error": message})
