"""How a gateway and what started it speak of its place: words on a pipe one way, signals the other.

`READY`: it takes what comes in. `ALIVE`, every few seconds: its loop goes round. `LEAVING`: it was told by SIGHUP to
make room, and goes on until another one, on the same sockets, takes over; SIGUSR1 tells it that it has. A gateway
nobody listens to ends at once when it is told to.
"""

from __future__ import annotations

import os
import signal

import anyio

from services.sdk.edge.http_server import AT_THE_END, NEXT_ONE_IS_THERE, Patience

READY, ALIVE, LEAVING = b"ready\n", b"alive\n", b"leaving\n"
ALIVE_SECONDS = 3.0


class StatusPipe:
    """The gateway's end. `descriptor`: -1 where nobody listens."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, word: bytes) -> bool:
        """Whether it was heard."""
        if self._descriptor < 0:
            return False
        try:
            return os.write(self._descriptor, word) == len(word)
        except OSError:  # a conductor that was killed
            return False

    async def run(self) -> None:
        """Give signs of life until cancelled."""
        while True:
            await anyio.sleep(ALIVE_SECONDS)
            self.say(ALIVE)

    async def until_told_to_stop(self) -> Patience:
        """How long what is under way may take then. SIGTERM, SIGINT: somebody waits for the end."""
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
        with anyio.open_signal_receiver(*numbers) as signals:
            async for number in signals:
                if number == signal.SIGUSR1:
                    return NEXT_ONE_IS_THERE
                if number != signal.SIGHUP or not self.say(LEAVING):
                    break
        return AT_THE_END
