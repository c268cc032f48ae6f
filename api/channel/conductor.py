"""The conductor's end: what its socket serves for gateways alone, before everything else."""

from __future__ import annotations

from collections.abc import Awaitable

from api.asgi import App, Receive, Scope, Send, error_answer, send_answer
from api.channel import replication, reports
from api.channel.replication import Replication
from api.channel.reports import Reports
from crds.errors import ApiError, MethodNotAllowed, NotFound

PREFIX = "/internal/"


class Channel:
    """An ASGI application: `/internal/...` is for gateways themselves, all else for `app`. Of each request that a
    gateway sends on, it says whose it is (`api.front_proxy`); what it asks for itself is nobody's.
    """

    def __init__(self, app: App, replication: Replication, reports: Reports) -> None:
        self._app, self._replication, self._reports = app, replication, reports

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            return self._app(scope, receive, send)
        return self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        except ApiError as error:
            await send_answer(send, error_answer(error))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = {replication.PATH: "GET", reports.PATH: "POST"}
        path, client = scope["path"], scope.get("client")
        if path not in known or (client and client[0]):
            raise NotFound(f"{path} is not served here")
        if scope["method"] != known[path]:
            raise MethodNotAllowed(f"{path} takes {known[path]}")
        if path == replication.PATH:
            await self._replication.serve(scope, receive, send)
        else:
            await send_answer(send, await self._reports.answer(receive))
