"""Buckets whose answers break off, which are asked for again, and one that knows no conditions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from controller.backup.errors import Unreachable
from controller.backup.locations import ATTEMPTS, Location, open_location

CONTENT = b"0123456789" * 9


class Breaking(BaseHTTPRequestHandler):
    """Breaks off so many answers in their middle."""

    left = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        type(self).left -= 1
        self.wfile.write(CONTENT[:7] if self.left >= 0 else CONTENT)

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def do_PUT(self) -> None:
        conditional = "If-None-Match" in self.headers
        answer = b"<Error><Code>NotImplemented</Code></Error>" if conditional else b""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(501 if conditional else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def location(monkeypatch: pytest.MonkeyPatch) -> Iterator[Location]:
    server = HTTPServer(("127.0.0.1", 0), Breaking)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    said = {"ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "DEFAULT_REGION": "us-east-1"}
    for name, value in {**said, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    yield open_location("s3://bucket-1/oak")
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_answer_that_broke_off_is_asked_for_again(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Breaking, "left", 2)
    assert location.read("keys.json") == CONTENT


def test_answers_that_always_break_off_are_told(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Breaking, "left", ATTEMPTS)
    with pytest.raises(Unreachable, match=r"broke off keys\.json"):
        location.read("keys.json")


def test_a_bucket_that_knows_no_conditions_is_written_without(location: Location) -> None:
    assert location.create("keys.json", b"{}")
