"""A service of the contract tests: says `SAYS` at `PORT`. Started as a module, or forked where it is loaded."""

from __future__ import annotations

import os
import signal
from http.server import BaseHTTPRequestHandler, HTTPServer


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["SAYS"].encode())

    def log_message(self, *_: object) -> None:
        """Nothing: the log is looked at."""


def main() -> None:
    if os.environ.get("STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("serving", os.environ["SAYS"], os.environ["ODD"], flush=True)
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()


if __name__ == "__main__":
    main()
