"""What resources have no place for: messages, the attempts that were made, and what is sent again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from crds.errors import BadRequest, NotFound, TooLarge
from services.sdk.group_commit import GroupCommitter
from services.sdk.resources import Clock
from services.sdk.routes import Request, Response, route
from services.webhook_manager import message_store as store
from services.webhook_manager.bodies import STATES, NewMessage, Replay
from services.webhook_manager.directory import Directory
from services.webhook_manager.engine import Engine
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT, WebhookEndpoint
from services.webhook_manager.message import Draft, State
from services.webhook_manager.names import endpoint_path, new_id
from services.webhook_manager.outbox import Outbox
from services.webhook_manager.payloads import Occurrence, draft_of
from services.webhook_manager.room import Room
from services.webhook_manager.source_kinds import WEBHOOK_SOURCE
from services.webhook_manager.views import attempt_view, message_view

Json = dict[str, Any]
MOST, MOST_BYTES = 500, 262_144
MOST_BYTES_TO_ALL = 16 << 20
"""Each endpoint has a copy of its own: so much is written by one request."""
_NEWEST = 2**62
_ONE = "/endpoints/{namespace}/{name}"
_SOURCE = "/sources/{namespace}/{name}"
_PAGE = ("state", "before", "limit", "id")


class WebhookRoutes:
    """One declared method per route."""

    def __init__(
        self,
        directory: Directory,
        committer: GroupCommitter,
        outbox: Outbox,
        room: Room,
        engine: Engine,
        clock: Clock,
    ) -> None:
        self._directory, self._committer, self._outbox, self._room = directory, committer, outbox, room
        self._engine, self._clock = engine, clock

    @route("POST", f"{_ONE}/messages", permission=("use", WEBHOOK_ENDPOINT), body=NewMessage)
    async def send(self, request: Request) -> Response:
        """202 and `{id}` once it is durable; the same again under its id is sent once."""
        endpoint = await self._endpoint(request)
        id = request.body.id or new_id()
        await self._outbox.put([self._draft(endpoint, request.body, id)])
        return _accepted({"id": id})

    @route("POST", "/namespaces/{namespace}/messages", permission=("use", WEBHOOK_ENDPOINT), body=NewMessage)
    async def send_to_all(self, request: Request) -> Response:
        """To the endpoints of the namespace that want its type: to all of them, or to none. `{id, endpoints}`."""
        id, type = request.body.id or new_id(), request.body.type
        known = self._directory.endpoints.all(request.namespace)
        wanting = sorted((each for each in known if _wants(each, type)), key=lambda each: each.metadata.name)
        if wanting:
            await self._outbox.put(self._drafts(wanting, request.body, id))
        return _accepted({"id": id, "endpoints": [each.metadata.name for each in wanting]})

    @route("GET", "/namespaces/{namespace}/endpoints", permission=("list", WEBHOOK_ENDPOINT))
    async def endpoints(self, request: Request) -> Json:
        """`{endpoints: [{name, counts}]}`: how many messages wait, were delivered and failed, of each."""
        known = sorted(self._directory.endpoints.all(request.namespace), key=lambda each: each.metadata.name)
        uids = [each.metadata.uid or "" for each in known]
        found = await self._committer.submit(lambda db: [store.counts(db, uid) for uid in uids])
        return {
            "endpoints": [
                {"name": each.metadata.name, "counts": _counts(counts)}
                for each, counts in zip(known, found, strict=True)
            ]
        }

    @route("GET", f"{_ONE}/messages", permission=("get", WEBHOOK_ENDPOINT), query=_PAGE)
    async def messages(self, request: Request) -> Json:
        """`{messages, counts, before}`: the newest first; `?before=` what it says goes on."""
        return await self._messages((await self._endpoint(request)).metadata.uid or "", request)

    @route("GET", f"{_ONE}/messages/{{id}}/content", permission=("use", WEBHOOK_ENDPOINT))
    async def content(self, request: Request) -> Response:
        """The bytes that are sent under that id: for whoever may send there, since lists show none."""
        uid, id = (await self._endpoint(request)).metadata.uid or "", request.parameters["id"]
        found = await self._committer.submit(lambda db: store.content(db, uid, id))
        if found is None:
            raise NotFound(f"no message {id[:128]} of that endpoint is kept")
        return Response(found, content_type="application/octet-stream")

    @route("GET", f"{_ONE}/attempts", permission=("get", WEBHOOK_ENDPOINT), query=("id", "limit"))
    async def attempts(self, request: Request) -> Json:
        """`{attempts: [...]}`: the newest first; `?id=` those of one message."""
        return await self._attempts((await self._endpoint(request)).metadata.uid or "", request)

    @route("POST", f"{_ONE}/replay", permission=("patch", WEBHOOK_ENDPOINT), body=Replay)
    async def replay(self, request: Request) -> Json:
        """`{messages}`: how many are sent again, each under its id."""
        return await self._replay((await self._endpoint(request)).metadata.uid or "", request.body)

    @route("POST", f"{_ONE}/enable", permission=("patch", WEBHOOK_ENDPOINT))
    async def enable(self, request: Request) -> None:
        """Send again to an endpoint that was disabled, what waits first."""
        await self._engine.enable((await self._endpoint(request)).metadata.uid or "")

    @route("GET", f"{_SOURCE}/messages", permission=("get", WEBHOOK_SOURCE), query=_PAGE)
    async def source_messages(self, request: Request) -> Json:
        """As those of an endpoint: what was taken for a queue. What went to an endpoint is told there."""
        return await self._messages(await self._source(request), request)

    @route("GET", f"{_SOURCE}/attempts", permission=("get", WEBHOOK_SOURCE), query=("id", "limit"))
    async def source_attempts(self, request: Request) -> Json:
        return await self._attempts(await self._source(request), request)

    @route("POST", f"{_SOURCE}/replay", permission=("patch", WEBHOOK_SOURCE), body=Replay)
    async def source_replay(self, request: Request) -> Json:
        return await self._replay(await self._source(request), request.body)

    async def _endpoint(self, request: Request) -> WebhookEndpoint:
        """Raises NotFound."""
        return await self._directory.endpoint(request.parameters["name"], request.parameters["namespace"])

    async def _source(self, request: Request) -> str:
        """Its uid. Raises NotFound."""
        found = await self._directory.source(request.parameters["name"], request.parameters["namespace"])
        return found.metadata.uid or ""

    def _drafts(self, endpoints: Iterable[WebhookEndpoint], body: NewMessage, id: str) -> list[Draft]:
        """Raises TooLarge."""
        drafts: list[Draft] = []
        size = 0
        for each in endpoints:
            drafts.append(self._draft(each, body, id))
            size += len(drafts[-1].content)
            if size > MOST_BYTES_TO_ALL:
                raise TooLarge(
                    f"a message to all has at most {MOST_BYTES_TO_ALL} bytes for all its endpoints together"
                )
        return drafts

    def _draft(self, endpoint: WebhookEndpoint, body: NewMessage, id: str) -> Draft:
        """Raises TooLarge."""
        meta = endpoint.metadata
        source = body.source or endpoint_path(meta.namespace or "default", meta.name)
        what = Occurrence(id, body.type, body.data, body.time or self._clock.now(), source, body.subject)
        draft = draft_of(what, meta.uid or "", endpoint.spec.format)
        if len(draft.content) > MOST_BYTES:
            raise TooLarge(f"a message has at most {MOST_BYTES} bytes, not {len(draft.content)}")
        return draft._replace(asked=body.digest())

    async def _messages(self, uid: str, request: Request) -> Json:
        states = _states(request.query.get("state", ""))
        before = _number(request, "before", _NEWEST, _NEWEST)
        limit, id = _number(request, "limit", 100, MOST), request.query.get("id", "")
        found = await self._committer.submit(lambda db: store.listed(db, uid, states, before, limit, id))
        counts = await self._committer.submit(lambda db: store.counts(db, uid))
        more = {"before": str(found[-1].number)} if len(found) == limit else {}
        return {"messages": [message_view(each) for each in found], "counts": _counts(counts), **more}

    async def _attempts(self, uid: str, request: Request) -> Json:
        limit, id = _number(request, "limit", 100, MOST), request.query.get("id", "")
        found = await self._committer.submit(lambda db: store.attempts(db, uid, id, limit))
        return {"attempts": [attempt_view(each) for each in found]}

    async def _replay(self, uid: str, body: Replay) -> Json:
        """Raises TooManyRequests where more than may would wait."""
        now = self._clock.now().timestamp()
        if body.since is None:
            ids = list(body.ids)
            await self._room.require(uid, await self._committer.submit(lambda db: store.ended(db, uid, ids)))
            number = await self._committer.submit(lambda db: store.replay_ids(db, uid, ids, now))
        else:
            states = [STATES[each] for each in body.states]
            since, until = body.since.timestamp(), body.until.timestamp() if body.until else now
            found = await self._committer.submit(lambda db: store.ended_in(db, uid, states, since, until))
            await self._room.require(uid, found)
            number = await self._committer.submit(lambda db: store.replay_range(db, uid, states, since, until, now))
        self._room.forget(uid)
        self._engine.wake(uid)
        return {"messages": number}


def _wants(endpoint: WebhookEndpoint, type: str) -> bool:
    wanted = endpoint.spec.types
    return not wanted or any(type.startswith(each[:-1]) if each[-1:] == "*" else type == each for each in wanted)


def _counts(counts: Mapping[State, int]) -> Json:
    return {name: counts[state] for name, state in STATES.items()}


def _accepted(told: Json) -> Response:
    return Response(orjson.dumps(told), 202)


def _states(text: str) -> list[State]:
    """Raises BadRequest."""
    if not text:
        return list(State)
    if text not in STATES:
        raise BadRequest(f"state is one of {', '.join(STATES)}")
    return [STATES[text]]


def _number(request: Request, name: str, otherwise: int, most: int) -> int:
    """Raises BadRequest."""
    text = request.query.get(name, "")
    if not text:
        return otherwise
    if text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= most:
        return int(text)
    raise BadRequest(f"{name} is a number from 1 to {most}")
