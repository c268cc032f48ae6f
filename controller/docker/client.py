"""The client of one Docker daemon: calls block a thread, never the event loop, and have a deadline.

The only home of the docker SDK. Its errors end here as DriverError; `NotFound`, `VersionConflict` and `NameConflict`
are for callers that can do something about them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
import docker
import docker.errors
import requests

from controller.kit.threads import Threads
from controller.runtime.driver import DriverError
from crds.conditions import Reason

T = TypeVar("T")
Api = docker.APIClient
CALLS_AT_ONCE = 8
DEADLINE_SECONDS = 5.0


class NotFound(DriverError):
    """There is no such object in Docker."""


class VersionConflict(DriverError):
    """Somebody changed the object since we read it: read again."""


class NameConflict(DriverError):
    """Something of that name exists already."""


class DockerClient:
    """`url`: `unix:///var/run/docker.sock`, or None for what DOCKER_HOST says. `calls` counts what was asked."""

    def __init__(self, url: str | None = None, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._url, self._deadline = url, deadline_seconds
        self._threads = Threads(CALLS_AT_ONCE)
        self._api: Api | None = None
        self.calls: Counter[str] = Counter()

    async def ask(self, work: Callable[[Any], T], *, extra_seconds: float = 0.0) -> T:
        """The result of `work`, given the docker SDK's APIClient. Raises DriverError.

        A daemon that hangs costs this caller the deadline, and nobody else anything.
        """
        try:
            return await self._threads.run(lambda: work(self._counting()), deadline=self._deadline + extra_seconds)
        except TimeoutError as late:
            raise DriverError(
                f"Docker did not answer within {self._deadline + extra_seconds:g} s",
                reason=Reason.RUNTIME_UNREACHABLE,
            ) from late
        except docker.errors.APIError as refused:
            raise _translated(refused) from refused
        except (docker.errors.DockerException, requests.RequestException, OSError) as lost:
            raise DriverError(f"Docker cannot be reached: {lost}", reason=Reason.RUNTIME_UNREACHABLE) from lost

    async def follow(self, filters: Mapping[str, Any], told: Callable[[Mapping[str, Any]], None]) -> None:
        """Call `told` on the event loop for each of the daemon's events, until the daemon ends the stream.

        Raises DriverError when it cannot be followed at all.
        """
        stream = await self.ask(lambda api: api.events(filters=dict(filters), decode=True))

        def read() -> None:
            with suppress(requests.RequestException, OSError, ValueError):  # the daemon went, or we closed it
                for event in stream:
                    anyio.from_thread.run_sync(told, event)

        try:
            # A thread of its own: it sits in a read for hours.
            await anyio.to_thread.run_sync(read, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
        finally:
            stream.close()

    def _counting(self) -> Any:
        return _Counting(self._connected(), self.calls)

    def _connected(self) -> Api:
        """Made at the first call, on a thread: it asks the daemon which API version it speaks."""
        if self._api is None:
            where = {**os.environ, "DOCKER_HOST": self._url} if self._url else None
            client = docker.DockerClient.from_env(version="auto", timeout=round(self._deadline), environment=where)
            self._api = client.api
        return self._api


class _Counting:
    """The APIClient, with each call counted under its name."""

    def __init__(self, api: Api, calls: Counter[str]) -> None:
        self._api, self._calls = api, calls

    def __getattr__(self, name: str) -> Any:
        self._calls[name] += 1
        return getattr(self._api, name)


def _translated(refused: docker.errors.APIError) -> DriverError:
    text = str(refused.explanation or refused)
    if refused.status_code == 404:
        return NotFound(text, reason=Reason.NOT_FOUND)
    if "out of sequence" in text:
        return VersionConflict(text, reason=Reason.OUT_OF_DATE)
    if "name conflicts with an existing object" in text or refused.status_code == 409:
        return NameConflict(text, reason=Reason.NAME_CONFLICT, retryable=False)
    if "not a swarm manager" in text:
        return DriverError(f"this Docker is no Swarm manager: {text}", reason=Reason.NOT_A_SWARM_MANAGER)
    # 400: the wish itself is wrong, and will be next time.
    return DriverError(f"Docker refused: {text}", retryable=refused.status_code != 400)
