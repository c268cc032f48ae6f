"""What the AWS API has no answer for: when a schedule is due next, and how its last calls ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any

import orjson

from crds.errors import BadRequest, Conflict, NotFound
from crds.model import rfc3339
from services.schedule_manager.directory import Directory
from services.schedule_manager.kinds import SCHEDULE, Schedule
from services.schedule_manager.planning import fires_at, firing_by_hand, moment, upcoming
from services.schedule_manager.schedule_store import Ended, Firing, ScheduleStore
from services.sdk.resources import BlockingExecutor, Clock
from services.sdk.routes import Request, Response, route

Json = dict[str, Any]
MOST = 100
RequireRole = Callable[[Request, str], Awaitable[None]]
"""Raises Forbidden where whoever asks may not pass that role to a schedule of the request's namespace."""


class ScheduleRoutes:
    """One declared method per route."""

    def __init__(
        self,
        directory: Directory,
        store: ScheduleStore,
        threads: BlockingExecutor,
        clock: Clock,
        wake: Callable[[], None],
        require_role: RequireRole,
    ) -> None:
        self._directory, self._store, self._threads, self._clock = directory, store, threads, clock
        self._wake, self._require_role = wake, require_role

    @route("GET", "/schedules/{namespace}/{name}/upcoming", permission=("get", SCHEDULE), query=("count",))
    async def upcoming(self, request: Request) -> Json:
        """`{times: [{due, at}]}`: the next ten times, or `count` of them, and when it is called for each."""
        schedule = await self._schedule(request)
        count = _count(request.query.get("count", "10"))
        spec, meta = schedule.spec, schedule.metadata
        now = self._clock.now()
        times = islice(upcoming(spec, meta.creation_timestamp or now, now), count) if spec.enabled else ()
        return {"times": [_time(meta.uid or "", each, spec.flexible_window_minutes) for each in times]}

    @route("GET", "/schedules/{namespace}/{name}/firings", permission=("get", SCHEDULE))
    async def firings(self, request: Request) -> Json:
        """`{underWay: [...], ended: [...]}`: calls that are tried, and how the last ones ended, the newest first."""
        uid = (await self._schedule(request)).metadata.uid or ""
        under_way = await self._threads.run(lambda: self._store.firings(uid))
        ended = await self._threads.run(lambda: self._store.outcomes(uid))
        return {"underWay": [_under_way(each) for each in under_way], "ended": [_ended(each) for each in ended]}

    @route("POST", "/schedules/{namespace}/{name}/run", permission=("update", SCHEDULE))
    async def run(self, request: Request) -> Response:
        """Call it now, beside its times, also while it is disabled: 202 and `{id, due}` once that is durable. Its
        caller could have it called by writing other times, and needs the same: to pass the role it runs under.
        """
        schedule = await self._schedule(request)
        if schedule.spec.target.role_arn:
            await self._require_role(request, schedule.spec.target.role_arn)
        firing = firing_by_hand(schedule.metadata.uid or "", request.id, self._clock.now())
        alone = schedule.spec.concurrency == "Forbid"
        if not await self._threads.run(lambda: self._store.fire_now(firing, alone=alone)):
            raise Conflict("it is not planned yet, or an earlier call is still tried and concurrency is Forbid")
        self._wake()
        return Response(orjson.dumps({"id": firing.id, "due": rfc3339(moment(firing.due))}), 202)

    async def _schedule(self, request: Request) -> Schedule:
        """Raises NotFound."""
        name, namespace = request.parameters["name"], request.parameters["namespace"]
        found = await self._directory.schedules.read(name, namespace)
        if found is None:
            raise NotFound(f"there is no Schedule {name} in the namespace {namespace}")
        return found


def _count(text: str) -> int:
    """Raises BadRequest."""
    if text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= MOST:
        return int(text)
    raise BadRequest(f"count is a number from 1 to {MOST}")


def _time(uid: str, due: Any, window: int | None) -> Json:
    return {"due": rfc3339(due), "at": rfc3339(fires_at(uid, due, window))}


def _under_way(firing: Firing) -> Json:
    told = {"id": firing.id, "due": rfc3339(moment(firing.due)), "attempts": firing.attempts}
    return {**told, "nextAttempt": rfc3339(moment(firing.next_attempt)), "fault": firing.fault}


def _ended(ended: Ended) -> Json:
    told = {"id": ended.id, "due": rfc3339(moment(ended.due)), "attempts": ended.attempts}
    return {**told, "endedAt": rfc3339(moment(ended.ended)), "fault": ended.fault}
