"""An origin server that costs little: `python bench/origin.py FOLDER PORT PLAIN-PORT SOCKET`, ready with its {}.

`GET /b/<n>` answers with n MiB; whatever comes with another request is read and forgotten. Its TLS is that of a
managed Service: it shows `FOLDER/storage-manager.pem`, and asks for a certificate. At the socket it answers in the
clear, as such a Service does for the gateway of its machine.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any

import httptools
import uvloop

MEBIBYTE, PART = 2**20, b"x" * 2**16


class Origin(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._parser, self._target, self._left = httptools.HttpRequestParser(self), b"", 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._write()

    def on_url(self, url: bytes) -> None:
        self._target = url

    def on_message_complete(self) -> None:
        asked = self._target.rpartition(b"/")[2]
        is_read = self._parser.get_method() == b"GET" and asked.isdigit()
        self._left = int(asked) * MEBIBYTE if is_read else 0
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % self._left)
        self._write()

    def _write(self) -> None:
        while self._left and not self._paused:
            self._transport.write(PART)
            self._left -= len(PART)


def instance_tls(folder: Path) -> ssl.SSLContext:
    """As an instance of a managed Service has it."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version, tls.verify_mode = ssl.TLSVersion.TLSv1_3, ssl.CERT_OPTIONAL
    tls.load_cert_chain(folder / "storage-manager.pem")
    tls.load_verify_locations(folder / "ca.crt")
    return tls


async def run(folder: Path, port: int, plain_port: int, path: str) -> None:
    loop = asyncio.get_running_loop()
    secured = await loop.create_server(Origin, "127.0.0.1", port, ssl=instance_tls(folder))
    plain = await loop.create_server(Origin, "127.0.0.1", plain_port)
    local = await loop.create_unix_server(Origin, path)
    print("{}", flush=True)
    await asyncio.gather(secured.serve_forever(), plain.serve_forever(), local.serve_forever())


if __name__ == "__main__":
    uvloop.run(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
