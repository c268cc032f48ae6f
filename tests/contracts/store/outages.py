"""A way to a PostgreSQL that loses connections at the worst moment."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

COMMIT = b"COMMIT"


class LosingProxy:
    """Passes bytes on. When a client asks to commit, `mood` says what becomes of it: "pass", "before" (the connection
    is lost and the server never hears of it) or "after" (the server hears of it, and its answer is lost).
    """

    def __init__(self, port: int, mood: Callable[[], str]) -> None:
        self._to, self._mood = port, mood
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.lost = {"before": 0, "after": 0}
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                silent = threading.Event()
                threading.Thread(target=self._ask, args=(client, server, silent), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client, silent), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, silent: threading.Event) -> None:
        with suppress(OSError), client, server:
            while said := client.recv(1 << 16):
                mood = self._mood() if COMMIT in said else "pass"
                if mood != "pass":
                    self.lost[mood] += 1
                    silent.set()
                if mood != "before":
                    server.sendall(said)
                if mood == "after":
                    server.recv(1, socket.MSG_PEEK)  # it has answered: it has done it
                if mood != "pass":
                    client.shutdown(socket.SHUT_RDWR)
                    server.shutdown(socket.SHUT_RDWR)
                    return

    def _answer(self, server: socket.socket, client: socket.socket, silent: threading.Event) -> None:
        with suppress(OSError):
            while server.recv(1, socket.MSG_PEEK) and not silent.is_set():
                client.sendall(server.recv(1 << 16))


def seldom(rng: random.Random) -> Callable[[], str]:
    """One commit in six is lost, on either side."""
    return lambda: rng.choice(["before", "after", *["pass"] * 10])
