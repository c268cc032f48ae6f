"""Sinks of the audit log besides its own file: syslog (RFC 5424), a webhook (EventList of audit.k8s.io/v1), a file.

A sink reads the journal's files from where it came to, so it needs no queue in memory, and a sink that was away for a
day is sent the day. Each runs in a thread of its own: a slow one delays nobody. A line may come twice after a crash,
never not at all; syslog over UDP alone cannot know.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

import orjson
import structlog

from api.audit.chain import split
from api.audit.journal import Journal
from api.audit.kube import event_list
from controller.kit.files import write_private

BATCH_LINES, BATCH_BYTES = 200, 2**20
_POLL_SECONDS, _LONGEST_PAUSE = 0.5, 30.0
# RFC 5424: facility 13 (log audit), severity 6 (informational).
_PRIORITY = 13 * 8 + 6
log = structlog.get_logger("audit")


class Sink(Protocol):
    """Somewhere lines are sent. `name` is for people and files."""

    name: str

    def send(self, lines: list[bytes]) -> None:
        """Raises OSError when they did not arrive."""
        ...


class FileSink:
    """Another file, on another disk perhaps. Rotating it is its owner's (logrotate: it is opened anew each time)."""

    def __init__(self, file: Path) -> None:
        self.name, self._file = "file", file

    def send(self, lines: list[bytes]) -> None:
        handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            data = b"".join(line + b"\n" for line in lines)
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        finally:
            os.close(handle)


class SyslogSink:
    """`udp://host:514`, `tcp://host:601` (octet counting, RFC 6587), `tls://host:6514` (RFC 5425), `unix:///dev/log`."""

    def __init__(self, url: str, hostname: str, ca: Path | None = None) -> None:
        self.name, self._url, self._host, self._ca = "syslog", urlsplit(url), hostname or "-", ca
        self._socket: socket.socket | None = None
        if self._url.scheme not in ("udp", "tcp", "tls", "unix"):
            raise ValueError(f"{url}: syslog goes by udp://, tcp://, tls:// or unix://")

    def send(self, lines: list[bytes]) -> None:
        try:
            connection = self._socket = self._socket or self._connected()
            if self._url.scheme in ("tcp", "tls"):
                framed = (self.message(line) for line in lines)
                connection.sendall(b"".join(b"%d %b" % (len(each), each) for each in framed))
                return
            for line in lines:
                connection.send(self.message(line))
        except OSError:
            self._close()
            raise

    def message(self, line: bytes) -> bytes:
        """One message: its time, and its number as structured data, are those of the line."""
        told = orjson.loads(line)
        head = f"<{_PRIORITY}>1 {told.get('time', '-')} {self._host} aerekos-audit {os.getpid()} audit"
        return f'{head} [aerekos@32473 seq="{told.get("seq", 0)}"] '.encode() + line

    def _connected(self) -> socket.socket:
        if self._url.scheme == "unix":
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            made.connect(self._url.path)
            return made
        place = self._url.hostname or "", self._url.port or {"udp": 514, "tcp": 601}.get(self._url.scheme, 6514)
        if self._url.scheme == "udp":
            family, kind, *_, address = socket.getaddrinfo(*place, type=socket.SOCK_DGRAM)[0]
            made = socket.socket(family, kind)
            made.connect(address)
            return made
        made = socket.create_connection(place, timeout=10)
        if self._url.scheme == "tls":
            trust = ssl.create_default_context(cafile=str(self._ca) if self._ca else None)
            return trust.wrap_socket(made, server_hostname=self._url.hostname)
        return made

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class WebhookSink:
    """POST of an EventList, as kube-apiserver's webhook backend does. Anything but 2xx is tried again."""

    def __init__(self, url: str, ca: Path | None = None, token_file: Path | None = None) -> None:
        import httpx

        self.name, self._url, self._token = "webhook", url, token_file
        local = urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
        if urlsplit(url).scheme != "https" and not local:
            raise ValueError(f"{url}: a webhook must be https, or on this machine")
        trust: Any = ssl.create_default_context(cafile=str(ca)) if ca else True
        self._client = httpx.Client(verify=trust, timeout=30.0, trust_env=False)

    def send(self, lines: list[bytes]) -> None:
        import httpx

        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token.read_text().strip()}"
        body = orjson.dumps(event_list([orjson.loads(line) for line in lines]))
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise OSError(str(error) or type(error).__name__) from error
        if not answer.is_success:
            raise OSError(f"answered {answer.status_code}")


@dataclass
class Progress:
    """The progress of a sink. `fault` is empty while it takes what it is sent."""

    name: str
    sent: int = 0
    fault: str = ""


class Follower:
    """Sends a journal's lines to one sink, from where the last run came to. `kept`: the file that says where."""

    def __init__(
        self, journal: Journal, sink: Sink, kept: Path, sleep: Callable[[float], object] | None = None
    ) -> None:
        self._journal, self._sink, self._kept = journal, sink, kept
        self._stop = threading.Event()
        self._sleep = sleep or self._stop.wait
        self._stream: BinaryIO | None = None
        self.progress = Progress(sink.name, self._read())
        self._thread = threading.Thread(target=self._run, name=f"audit-{sink.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Try once more what is written so far."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        pause = _POLL_SECONDS
        while True:
            stopping = self._stop.is_set()
            try:
                while self.step():
                    pause = _POLL_SECONDS
            except (OSError, ValueError) as error:
                if not self.progress.fault:
                    log.error("audit lines do not reach a sink", sink=self._sink.name, error=str(error))
                self.progress.fault = str(error)
                pause = min(pause * 2, _LONGEST_PAUSE)
            if stopping:
                return
            self._sleep(pause)

    def step(self) -> bool:
        """Sends one batch; whether there was any. Raises OSError."""
        lines = self._batch()
        if not lines:
            return False
        try:
            self._sink.send(lines)
        except OSError:
            self._forget_place()
            raise
        last = split(lines[-1])[1]
        self.progress.sent, self.progress.fault = last.seq if last else self.progress.sent, ""
        write_private(self._kept, orjson.dumps({"seq": self.progress.sent}))
        return True

    def _batch(self) -> list[bytes]:
        lines: list[bytes] = []
        size = 0
        while len(lines) < BATCH_LINES and size < BATCH_BYTES:
            line = self._next()
            if line is None:
                break
            link = split(line)[1]
            if link is not None and link.seq > self.progress.sent:
                lines.append(line)
                size += len(line)
        return lines

    def _next(self) -> bytes | None:
        """The next whole line; None at the end of everything."""
        while True:
            if self._stream is None:
                self._stream = self._opened()
                if self._stream is None:
                    return None
            place = self._stream.tell()
            line = self._stream.readline()
            if line.endswith(b"\n"):
                return line[:-1]
            self._stream.seek(place)
            if self._is_current():
                return None
            # The file was rotated and is read to its end: on to the one that begins after it.
            seen = self._stream
            if seen.readline():
                seen.seek(place)
                continue
            self._forget_place()
            following = self._after(os.fstat(seen.fileno()).st_ino)
            seen.close()
            self._stream = following
            if following is None:
                return None

    def _is_current(self) -> bool:
        try:
            return (
                self._stream is not None
                and os.fstat(self._stream.fileno()).st_ino == self._journal.path.stat().st_ino
            )
        except OSError:
            return True  # between two names: look again later

    def _after(self, inode: int) -> BinaryIO | None:
        files = [*self._journal.rotated(), self._journal.path]
        numbers = [file.stat().st_ino for file in files if file.exists()]
        if inode not in numbers or numbers.index(inode) + 1 >= len(files):
            return self._opened()
        return files[numbers.index(inode) + 1].open("rb")

    def _opened(self) -> BinaryIO | None:
        """The file that holds the first line not sent yet."""
        files = [*self._journal.rotated(), self._journal.path]
        starts = [file for file in files[:-1] if int(file.name.rsplit(".", 1)[1]) <= self.progress.sent + 1]
        begin = starts[-1] if starts else files[0]
        try:
            return begin.open("rb")
        except OSError:
            return None

    def _forget_place(self) -> None:
        if self._stream is not None:
            self._stream = None

    def _read(self) -> int:
        try:
            return int(orjson.loads(self._kept.read_bytes())["seq"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0
