"""`aerekos exec`: a command in an instance of a service, over the WebSocket protocol kubectl speaks.

A message begins with its channel: 0 input, 1 output, 2 errors, 3 the result as a Status, 4 the terminal's size.
Source: Kubernetes, `v5.channel.k8s.io` (kubernetes/enhancements, KEP-4006).
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cli.api_client import ApiClient
from cli.errors import NotReachable, Refused
from cli.output import complain
from cli.resources.references import ServiceReference
from cli.urls import segment
from controller.main.errors import UserError

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

PROTOCOL = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, RESULT, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash || exec sh")
_BLOCK = 32 * 1024


def run(api: ApiClient, service: ServiceReference, command: Sequence[str], *, stdin: bool, tty: bool) -> int:
    """The exit code of what ran; without a command a shell, with a terminal. Raises UserError."""
    words = list(command[1:] if command[:1] == ["--"] else command)
    interactive = not words
    tty, stdin = tty or interactive, stdin or interactive or tty
    if tty and not sys.stdin.isatty():
        complain("stdin is no terminal: going on without one")
        tty = False
    instance = service.instance or _first_instance(api, service)
    query = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    asked = [(name, "true") for name, wanted in query.items() if wanted]
    asked += [("command", each) for each in words or _SHELL]
    path = f"/api/v1/namespaces/{segment(service.namespace)}/pods/{segment(instance)}/exec?{urlencode(asked)}"
    with _opened(api, path) as socket, _raw_terminal(wanted=tty):
        if tty:
            _keep_size(socket)
        if stdin:
            threading.Thread(target=_send_input, args=(socket,), daemon=True).start()
        return _converse(socket)


def _first_instance(api: ApiClient, service: ServiceReference) -> str:
    """A ready one, else any."""
    status = api.get(service.path).get("status") or {}
    instances = sorted(status.get("instances") or (), key=lambda each: not each.get("ready"))
    if not instances:
        hint = f"see why: aerekos describe service {service.name}"
        raise UserError(f"no instance of {service.name} runs", hint=hint)
    return str(instances[0]["name"])


@contextmanager
def _opened(api: ApiClient, path: str) -> Iterator[ClientConnection]:
    from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    address = api.server.replace("https://", "wss://", 1) + path
    headers = {name: value for name, value in api.client.headers.items() if name == "authorization"}
    try:
        with connect(
            address,
            ssl=api.trust,
            subprotocols=[Subprotocol(PROTOCOL)],
            additional_headers=headers,
            max_size=None,
            proxy=None,
        ) as socket:
            yield socket
    except InvalidStatus as refused:
        raise _refused(refused.response.status_code, bytes(refused.response.body or b"")) from refused
    except ConnectionClosed as error:
        raise NotReachable("the connection was lost; the command was ended", hint="repeat it") from error
    except (OSError, ssl.SSLError, WebSocketException) as error:
        raise NotReachable(f"the connection to {api.server} broke: {error}", hint="aerekos status") from error


def _refused(code: int, body: bytes) -> Refused:
    try:
        status: dict[str, Any] = json.loads(body)
    except ValueError:
        status = {}
    hint = "only admins may run commands" if code == 403 else ""
    return Refused(str(status.get("message") or f"the server answered {code}"), status=code, hint=hint)


def _converse(socket: ClientConnection) -> int:
    """Writes what comes until the result does; the exit code."""
    for message in socket:
        data = message if isinstance(message, bytes) else message.encode()
        channel, content = data[0], data[1:]
        if channel == RESULT:
            return exit_code(json.loads(content))
        stream = sys.stderr.buffer if channel == STDERR else sys.stdout.buffer
        stream.write(content)
        stream.flush()
    raise NotReachable("the connection was lost; the command was ended", hint="repeat it")


def exit_code(status: dict[str, Any]) -> int:
    """Exit code of the command that ended so. Raises UserError when it never ran."""
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or ()
    told = next((each.get("message") for each in causes if each.get("reason") == "ExitCode"), None)
    if told is None:
        raise UserError(str(status.get("message") or "it did not run"))
    return int(told)


def _send_input(socket: ClientConnection) -> None:
    """Until stdin or the connection ends."""
    with suppress(Exception):  # the connection ended: what could not be sent has no reader
        while block := os.read(sys.stdin.fileno(), _BLOCK):
            socket.send(bytes([STDIN]) + block)
        socket.send(bytes([CLOSE, STDIN]))


def _keep_size(socket: ClientConnection) -> None:
    """The other side knows how big the terminal is, from now on."""
    changed = threading.Event()
    changed.set()
    # Not sent from the handler itself: it may interrupt a reading that holds the connection's lock.
    signal.signal(signal.SIGWINCH, lambda *_: changed.set())

    def tell() -> None:
        with suppress(Exception):  # the connection ended
            while changed.wait():
                changed.clear()
                size = os.get_terminal_size(sys.stdin.fileno())
                socket.send(bytes([RESIZE]) + json.dumps({"Width": size.columns, "Height": size.lines}).encode())

    threading.Thread(target=tell, daemon=True).start()


@contextmanager
def _raw_terminal(*, wanted: bool) -> Iterator[None]:
    """Each key goes to the command, Ctrl-C too; afterwards the terminal is as it was."""
    if not wanted:
        yield
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal, termios.TCSADRAIN)  # what was typed ahead stays
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
