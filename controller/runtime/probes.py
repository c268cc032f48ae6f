"""Asking whether something lives and whether it is ready: the questions, and when an answer counts.

Independent of the runtime. `Thresholds` is pure; `watch` adds time; `NetworkProber` adds the world.
Callers: the process driver's supervision. A question is answered by None (yes) or by a reason (no).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import ssl
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import anyio

from crds.probes import Exec, HttpGet, Probe, path_fault

QUICK_FIRST, QUICK_GROWTH, QUICK_LIMIT = 0.05, 1.2, 0.25
_ANSWER_BYTES = 16_384
_ASKED_ON_ONE = 10
_LENGTH = re.compile(rb"\r\ncontent-length: ?(\d{1,9})(?=\r|$)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: ?close", re.IGNORECASE)
_UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without authorities: OpenSSL would search all for the issuer
_UNVERIFIED.check_hostname, _UNVERIFIED.verify_mode = False, ssl.CERT_NONE


class Prober(Protocol):
    """Asks one question once, and again."""

    async def ask(self, probe: Probe, address: str, env: Mapping[str, str]) -> str | None:
        """None when the answer is yes, otherwise why not. Takes no longer than the probe's timeout."""
        ...

    async def forget(self, probe: Probe, address: str) -> None:
        """Drop what was kept for a probe that is not asked again."""
        ...


class Thresholds:
    """Turns single answers into a standing verdict: so many in a row until it changes."""

    def __init__(self, probe: Probe, *, passing: bool) -> None:
        self._probe = probe
        self.passing = passing
        self.in_a_row = 0
        self.because = ""

    def count(self, because: str | None) -> bool:
        """Count one answer. True when the verdict changed by it."""
        ok = because is None
        if ok == self.passing:
            self.in_a_row = 0
            return False
        self.in_a_row += 1
        self.because = because or ""
        needed = self._probe.success_threshold if ok else self._probe.failure_threshold
        if self.in_a_row < needed:
            return False
        self.passing = ok
        return True


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A change of mind: `times` answers in a row said so, the last one `because`."""

    passing: bool
    times: int
    because: str


async def watch(
    probe: Probe,
    prober: Prober,
    address: str,
    env: Mapping[str, str],
    told: Callable[[ProbeResult], None],
    *,
    passing: bool,
    delay: float,
    quickly: bool = False,
) -> None:
    """Ask for ever, first after `delay` seconds, then each period; `told` hears each change of the verdict.

    `quickly`: until the first yes, ask every 50 ms growing to 250 ms (never slower than the period), so that
    a start is noticed at once. Periods count from question to question, not from answer to question.
    """
    await anyio.sleep(delay)
    thresholds = Thresholds(probe, passing=passing)
    pause = min(QUICK_FIRST, probe.period_seconds) if quickly else probe.period_seconds
    try:
        while True:
            asked_at = anyio.current_time()
            because = await prober.ask(probe, address, env)
            if thresholds.count(because):
                told(ProbeResult(thresholds.passing, thresholds.in_a_row, thresholds.because))
                thresholds.in_a_row = 0
            if because is None:
                quickly, pause = False, probe.period_seconds
            await anyio.sleep(max(asked_at + pause - anyio.current_time(), 0))
            if quickly:
                pause = min(pause * QUICK_GROWTH, QUICK_LIMIT, probe.period_seconds)
    finally:
        await prober.forget(probe, address)


class NetworkProber:
    """Real questions, at the instance's own port: an HTTP/1.1 GET, a TCP connection; and a command.

    A connection that was answered on is asked on again, for a TLS handshake costs more than all else of a question;
    but every tenth question comes on a new one: what takes no new connections is no healthy server.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str, str], _Idle] = {}

    async def ask(self, probe: Probe, address: str, env: Mapping[str, str]) -> str | None:
        host, _, own_port = address.rpartition(":")
        try:
            with anyio.fail_after(probe.timeout_seconds):
                if probe.exec is not None:
                    return await _run(probe.exec, env)
                if probe.http_get is not None:
                    return await self._get(probe.http_get, address, host, _own(probe.http_get.port, own_port))
                port = probe.tcp_socket.port if probe.tcp_socket else None
                await _connect(host, _own(port, own_port))
                return None
        except TimeoutError:
            return f"no answer within {probe.timeout_seconds:g} s"
        except (OSError, ValueError, EOFError) as refused:
            return _plainly(refused)

    async def forget(self, probe: Probe, address: str) -> None:
        if probe.http_get is not None and (idle := self._idle.pop(_name(address, probe.http_get), None)):
            idle.drop()

    async def _get(self, question: HttpGet, address: str, host: str, port: int) -> str | None:
        if fault := path_fault(question.path):
            raise ValueError(f"the path {fault}")
        request = (
            f"GET {question.path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: aerekos-probe\r\nAccept: */*\r\n\r\n"
        ).encode()
        idle = self._idle.pop(_name(address, question), None)
        if idle is not None:
            try:
                return await self._asked(idle, request, address, question)
            except (EOFError, OSError):
                pass  # closed meanwhile, as servers may: a new connection tells
        tls = _UNVERIFIED if question.scheme == "HTTPS" else None
        fresh = _Idle(*await asyncio.open_connection(host, port, limit=_ANSWER_BYTES, ssl=tls))
        return await self._asked(fresh, request, address, question)

    async def _asked(self, idle: _Idle, request: bytes, address: str, question: HttpGet) -> str | None:
        """The verdict on the answer. Keeps the connection when the answer was whole and another may follow."""
        answered = False
        try:
            idle.writer.write(request)
            verdict, answered = await _answer(idle.reader, question.path)
            return verdict
        finally:
            idle.asked += 1
            if answered and idle.asked < _ASKED_ON_ONE:
                self._idle[_name(address, question)] = idle
            else:
                idle.drop()


@dataclass(slots=True)
class _Idle:
    """A connection nobody asks on now, and how often it was asked on.

    asyncio's, whose TLS uvloop does in C: there are two of these questions a second for each instance.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    asked: int = 0

    def drop(self) -> None:
        self.writer.transport.abort()


def _name(address: str, question: HttpGet) -> tuple[str, str, str]:
    return address, question.scheme, question.path


def _own(asked: int | None, own: str) -> int:
    """Raises ValueError for another: what listens there is somebody else's, and hears us from this machine."""
    if asked not in (None, int(own)):
        raise ValueError(f"port {asked} is not its own ({own}); it is not asked")
    return int(own)


async def _connect(host: str, port: int) -> None:
    stream = await anyio.connect_tcp(host, port)
    await stream.aclose()


async def _answer(reader: asyncio.StreamReader, path: str) -> tuple[str | None, bool]:
    """The verdict, and whether the whole answer was read and the server goes on listening. Raises EOFError."""
    text = b""
    while b"\r\n\r\n" not in text and len(text) < _ANSWER_BYTES:
        part = await reader.read(_ANSWER_BYTES)
        if not part and not text:
            raise EOFError("the connection was closed")
        if not part:
            break
        text += part
    head, _, body = text.partition(b"\r\n\r\n")
    verdict = _judge(head, path)
    length = _LENGTH.search(head)
    if length is None or _CLOSES.search(head) or int(length[1]) > _ANSWER_BYTES:
        return verdict, False
    while len(body) < int(length[1]):
        part = await reader.read(_ANSWER_BYTES)
        if not part:
            raise EOFError("the connection was closed")
        body += part
    return verdict, len(body) == int(length[1])


def _judge(head: bytes, path: str) -> str | None:
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return f"GET {path} was not answered in HTTP"
    status = int(words[1])
    return None if 200 <= status < 400 else f"GET {path} answered {status}"


async def _run(question: Exec, env: Mapping[str, str]) -> str | None:
    none = subprocess.DEVNULL
    process = await anyio.open_process(
        question.command, env=env, stdin=none, stdout=none, stderr=none, start_new_session=True
    )
    try:
        code = await process.wait()
    finally:
        # With all it started: a probe is asked for ever, and must leave nothing behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with anyio.CancelScope(shield=True):
            await process.aclose()
    return None if code == 0 else f"the command exited with {code}"


def _plainly(refused: Exception) -> str:
    cause = refused.__cause__ or refused
    return str(cause) or type(cause).__name__
