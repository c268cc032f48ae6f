"""Ends what is open when its credential, or a right it was let in with, is gone. One mechanism for every stream:
watches, followed logs, exec, WebSockets, what goes through the gateway.

Once a second each stream is judged again as if it began now: who its credentials prove today, and whether that one
may still do everything it had to be allowed when it began. The authorizer notes the latter by itself, so a new kind
of stream needs nothing of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
import structlog

from api.asgi import Scope
from api.auth.authentication import WHO, Authenticator
from api.auth.authorizer import Authorizer
from api.auth.on_behalf import HEADER as ON_BEHALF_OF
from api.auth.principal import Principal
from api.auth.rules import REQUIRED, Action
from crds.errors import ApiError, Forbidden

log = structlog.get_logger("api")
LOOK_SECONDS = 1.0
_PROOFS = (b"authorization", b"impersonate-user", b"impersonate-group", ON_BEHALF_OF)
Verdicts = dict[object, ApiError | Principal]


@dataclass(eq=False, slots=True)
class Held:
    """One open stream. `ended` says why it was ended, when it was. `shown`: everything in it that proves somebody."""

    scope: Scope
    cancel: anyio.CancelScope
    required: list[Action] = field(default_factory=list)
    ended: ApiError | None = None
    shown: object = field(init=False)

    def __post_init__(self) -> None:
        headers = tuple(each for each in self.scope["headers"] if each[0] in _PROOFS)
        self.shown = headers, (self.scope.get("extensions") or {}).get("aerekos.peer") or ()


class StreamGuard:
    """Knows what is open."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator, self._authorizer = authenticator, authorizer
        self._open: dict[Held, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def held(self, scope: Scope) -> Iterator[Held]:
        """For as long as the stream is open. What is inside is cancelled when it must end; `ended` says so then."""
        with anyio.CancelScope() as cancel:
            stream = Held(scope, cancel)
            self._open[stream] = None
            token = REQUIRED.set(stream.required)
            try:
                yield stream
            finally:
                REQUIRED.reset(token)
                del self._open[stream]

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            await anyio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Judge every stream. Those alike cost one question."""
        known: Verdicts = {}
        for stream in tuple(self._open):
            if WHO not in stream.scope or stream.ended is not None:
                continue
            stream.ended = self._fault(stream, known)
            if stream.ended is not None:
                log.info("stream ended", path=stream.scope["path"], because=stream.ended.message)
                stream.cancel.cancel()

    def _fault(self, stream: Held, known: Verdicts) -> ApiError | None:
        found = self._proven(stream, known)
        if isinstance(found, ApiError):
            return found
        for action in stream.required:
            question = (found, action)
            if question not in known:
                known[question] = found if self._authorizer.allows(found, action) else _lost(found, action)
            if isinstance(refused := known[question], ApiError):
                return refused
        return None

    def _proven(self, stream: Held, known: Verdicts) -> ApiError | Principal:
        if stream.shown not in known:
            try:
                known[stream.shown] = self._authenticator.still(stream.scope)
            except ApiError as refused:
                known[stream.shown] = refused
        return known[stream.shown]


def _lost(who: Principal, action: Action) -> Forbidden:
    return Forbidden(f'User "{who.name}" may no longer {action.verb} {action.resource}')
