"""`GET .../pods/{name}/log`: what one instance wrote, and with `follow` what it goes on writing."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from api.asgi import Receive, Send, cancel_when_gone
from api.kube.request import ApiRequest, as_count
from api.kube.views.log_options import LogOptions
from api.kube.views.view import ViewStorage
from api.log_stream import log_lines
from controller.kit.clock import Clock
from controller.runtime.driver import Driver
from crds.errors import BadRequest, MethodNotAllowed

_TEXT = b"text/plain; charset=utf-8"
_MOST_LINES = 100_000


class Logs:
    """Streams text. There is no `previous`: an instance goes on in the log of the one before it."""

    def __init__(self, driver: Driver | None, clock: Clock) -> None:
        self._driver, self._clock = driver, clock

    async def serve(
        self,
        ask: ApiRequest,
        source: ViewStorage,
        receive: Receive,
        send: Send,
        headers: Sequence[tuple[bytes, bytes]],
    ) -> None:
        """Raises NotFound, BadRequest, MethodNotAllowed before anything was sent."""
        if self._driver is None or ask.verb != "get":
            raise MethodNotAllowed("logs can only be read, where services run")
        shown, service = source.found(ask.target.key)
        container = shown.object["spec"]["containers"][0]["name"]
        if ask.params.get("container", container) != container:
            raise BadRequest(f"container {ask.params['container']} is not valid for pod {ask.target.name}")
        if ask.flag("previous"):
            raise BadRequest(f"previous terminated container {container!r} in pod {ask.target.name!r} not found")
        choice = LogOptions(ask.params, self._clock)
        asked = as_count(ask.params, "tailLines")
        tail = min(_MOST_LINES if asked is None else asked, _MOST_LINES)
        lines = log_lines(self._driver, service.key, ask.target.name, tail, follow=ask.flag("follow"))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", _TEXT), *headers]})
        async with anyio.create_task_group() as group:
            group.start_soon(cancel_when_gone, receive, group.cancel_scope)
            async for text in lines:
                await send({"type": "http.response.body", "body": choice.of(text), "more_body": True})
                if choice.is_over:
                    break
            group.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
