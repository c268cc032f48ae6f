"""`kubectl exec` over a WebSocket: `GET .../pods/{name}/exec?command=...`, as `v5.channel.k8s.io` has it.

A message begins with its channel: 0 input, 1 output, 2 errors, 3 the result as a Status, 4 the terminal's
size as `{"Width": .., "Height": ..}`; 255 closes the channel that follows. Needs `create` on `pods/exec`, which of
the built-in roles only admins have: in the process runtime a command runs as the conductor's own user.
Source: Kubernetes, staging/src/k8s.io/apimachinery/pkg/util/remotecommand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import anyio
import orjson

from api.asgi import Receive, Scope, Send, error_answer
from api.auth.principal import Principal
from api.cookies import is_foreign
from api.websocket import bearer_of
from controller.runtime.driver import DriverError, Execution, SupportsExec
from crds.errors import ApiError, BadRequest
from crds.meta import ObjectKey

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, RESULT, RESIZE, CLOSE = 0, 3, 4, 255
NORMAL = 1000
_LAST_WORDS_SECONDS = 0.3
FindInstance = Callable[[Scope, Principal], tuple[ObjectKey, str]]


@dataclass(frozen=True)
class ExecRequest:
    """The command and streams that the query asks for."""

    command: list[str]
    tty: bool


class ExecHandler:
    """`find` authorizes and says which instance a path means; it raises ApiError."""

    def __init__(self, driver: SupportsExec, find: FindInstance) -> None:
        self._driver, self._find = driver, find

    async def serve(self, scope: Scope, receive: Receive, send: Send, who: Principal) -> int:
        """Returns the HTTP code: 101 when it ran. Raises ApiError before the socket is open."""
        key, instance = self._find(scope, who)
        wish, protocol = read_wish(scope["query_string"]), chosen(scope)
        await send({"type": "websocket.accept", "subprotocol": protocol})
        try:
            async with self._driver.execute(key, instance, wish.command, tty=wish.tty) as running:
                await _converse(running, receive, send)
        except DriverError as refused:
            # Told inside the socket: a refused handshake would make kubectl try an older protocol.
            told = {"metadata": {}, "status": "Failure", "reason": "InternalError", "message": str(refused)}
            await _end(send, told)
        return 101


def read_wish(query: bytes) -> ExecRequest:
    """Raises BadRequest without a command."""
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    command = asked.get("command", [])
    if not command or not command[0]:
        raise BadRequest("you must specify at least one command for the container")
    return ExecRequest(command, asked.get("tty", ["false"])[-1] in ("true", "1"))


def chosen(scope: Scope) -> str:
    """The newest protocol both sides know. Raises BadRequest when there is none."""
    offered = scope.get("subprotocols") or []
    found = next((each for each in PROTOCOLS if each in offered), None)
    if found is None:
        raise BadRequest(f"unable to upgrade: speak one of {', '.join(PROTOCOLS)}")
    return found


def as_asked(scope: Scope) -> Scope:
    """With the bearer token that came as a subprotocol, which is all a browser can send.

    A browser shows its user's certificate to every page that asks: to those of another origin it does not count.
    """
    extensions = scope.get("extensions") or {}
    if is_foreign(scope["headers"]):
        extensions = {**extensions, "aerekos.peer": ()}
    token = bearer_of(scope)
    said = any(name == b"authorization" for name, _ in scope["headers"])
    headers = scope["headers"] if said or not token else [*scope["headers"], (b"authorization", b"Bearer " + token)]
    return {**scope, "extensions": extensions, "headers": headers}


async def refuse(scope: Scope, send: Send, error: ApiError) -> None:
    """Answers the handshake with the error's own code, so that kubectl can say why.

    A browser cannot read that answer: who sends a token as browsers have to hears inside the socket, which is then
    closed with 4000 + the code.
    """
    if bearer_of(scope) and not {*PROTOCOLS}.isdisjoint(scope.get("subprotocols") or []):
        await send({"type": "websocket.accept", "subprotocol": chosen(scope)})
        await _end(send, error.status(), code=4000 + error.code)
        return
    answer = error_answer(error)
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 4000 + error.code})
        return
    headers = [(b"content-type", answer.content_type), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "websocket.http.response.start", "status": answer.code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})


async def end_early(send: Send, error: ApiError) -> None:
    """Says why a session that was open ended before its command did."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WORDS_SECONDS):
        await _end(send, error.status(), code=4000 + error.code)


async def _converse(running: Execution, receive: Receive, send: Send) -> None:
    async def told(channel: int, data: bytes) -> None:
        await send({"type": "websocket.send", "bytes": bytes([channel]) + data})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_listen, running, receive, tasks.cancel_scope)
        await _end(send, result_of(await running.run(told)))
        tasks.cancel_scope.cancel()


async def _end(send: Send, result: dict[str, Any], *, code: int = NORMAL) -> None:
    await send({"type": "websocket.send", "bytes": bytes([RESULT]) + orjson.dumps(result)})
    await send({"type": "websocket.close", "code": code})


async def _listen(running: Execution, receive: Receive, scope: anyio.CancelScope) -> None:
    """Until the client leaves, which ends the command."""
    while (message := await receive())["type"] != "websocket.disconnect":
        # The Python client sends what is text to it as text.
        data: bytes = message.get("bytes") or (message.get("text") or "").encode()
        if not data:
            continue
        channel, content = data[0], data[1:]
        if channel == STDIN and content:
            await running.write(content)
        elif channel == CLOSE and content == bytes([STDIN]):
            await running.write(b"")
        elif channel == RESIZE:
            _resize(running, content)
    scope.cancel()


def _resize(running: Execution, content: bytes) -> None:
    try:
        size = orjson.loads(content)
        running.resize(int(size["Width"]), int(size["Height"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError):
        return  # a terminal of the wrong size is no reason to end a session


def result_of(code: int) -> dict[str, Any]:
    """The Status kubectl takes its own exit code from. A signal counts as 128 and its number, as in a shell."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    number = code if code > 0 else 128 - code
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {number}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(number)}]},
    }
