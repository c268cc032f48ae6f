"""A fork on its way to being an instance: it waits until it is recorded, puts up its walls, and runs its module.

Everything it got from the server besides the loaded modules goes first: descriptors, environment, arguments. What a
started program would have new, it gets new: session, title, log, walls.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from controller.kit.listening import FIRST_INHERITED, MOST_INHERITED
from controller.runtime.forking.title import set_title, show_environment
from controller.runtime.sandbox import calls, launcher

GO = b"go\n"
_UNRECORDED, _PR_SET_DUMPABLE = 125, 4


@dataclass
class ForkedChild:
    """`order` is what the conductor asked for (`client.ForkOrder`); `gate` opens once the instance is recorded;
    `sockets` are what it is to listen on.
    """

    order: dict[str, Any]
    gate: int
    log: int
    sockets: tuple[int, ...] = ()

    @classmethod
    def of(cls, order: dict[str, Any], descriptors: Sequence[int]) -> ForkedChild:
        """From the descriptors that came with the order: gate, log, sockets."""
        gate, log, *sockets = descriptors
        return cls(order, gate, log, tuple(sockets))

    def settle(self, ready: int) -> None:
        """A session of its own; whoever reads `ready` hears of it. Nothing else of the server's stays open."""
        try:
            os.setsid()
            os.write(ready, b"1")
            nothing = os.open("/dev/null", os.O_RDONLY)
            for ours, number in ((nothing, 0), (self.log, 1), (self.log, 2)):
                os.dup2(ours, number)
            self._place_descriptors()
        except OSError:
            os._exit(launcher.CANNOT_WALL)  # never back into the server's own work

    def _place_descriptors(self) -> None:
        """The sockets at the numbers a started process would have them at, the gate behind; all else is closed."""
        # Copied out of the way first: else one that is put in its place could cover another that is not yet.
        above = [fcntl.fcntl(each, fcntl.F_DUPFD, FIRST_INHERITED + MOST_INHERITED) for each in self.sockets]
        self.gate = fcntl.fcntl(self.gate, fcntl.F_DUPFD, FIRST_INHERITED + MOST_INHERITED)
        placed = [os.dup2(each, FIRST_INHERITED + at) for at, each in enumerate(above)]
        _close_all_but(self.gate, *placed)

    def run(self) -> None:
        """Returns what its module returns; a wall that cannot be put up ends the process with 126."""
        self._wait_for_the_gate()
        set_title(" ".join(["python", "-P", "-m", self.order["module"], *self.order["arguments"]]))
        self._take_environment()
        if self.order["walls"]:
            os.environ.update(launcher.put_up(launcher.walls_of(self.order["walls"])))
            # Other users' processes were not started either: no more is closed to them than to a started program.
            calls.prctl("dumpable", _PR_SET_DUMPABLE, 1)
        gc.enable()
        self._main()()

    def _wait_for_the_gate(self) -> None:
        said = os.read(self.gate, len(GO))
        os.close(self.gate)
        if said != GO:
            os._exit(_UNRECORDED)

    def _take_environment(self) -> None:
        os.environ.clear()
        show_environment(self.order["env"])
        os.environ.update(self.order["env"])
        time.tzset()
        sys.argv[:] = [self.order["module"], *self.order["arguments"]]

    def _main(self) -> Callable[[], None]:
        main: Callable[[], None] = import_module(self.order["module"]).main
        return main


def _close_all_but(*kept: int) -> None:
    for each in list(Path("/proc/self/fd").iterdir()):
        if int(each.name) not in (0, 1, 2, *kept):
            with contextlib.suppress(OSError):  # the listing's own is closed already
                os.close(int(each.name))
