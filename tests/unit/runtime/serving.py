"""A service of the contract tests: says `SAYS` at `PORT`, and at the socket it was handed. Started as a module, or
forked where it is loaded.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["SAYS"].encode())

    def log_message(self, *_: object) -> None:
        """Nothing: the log is looked at."""


def say_to_whoever_connects(listener: socket.socket) -> None:
    listener.setblocking(True)
    while True:
        with listener.accept()[0] as connection:
            connection.sendall(os.environ["SAYS"].encode())


def main() -> None:
    if os.environ.get("STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert os.environ["AEREKOS_SOCKETS"] == "1"
    threading.Thread(target=say_to_whoever_connects, args=[socket.socket(fileno=3)], daemon=True).start()
    print("serving", os.environ["SAYS"], os.environ["ODD"], flush=True)
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()


if __name__ == "__main__":
    main()
