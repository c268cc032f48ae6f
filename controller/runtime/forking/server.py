"""`python -P -m controller.runtime.forking.server <descriptor> <room>`: the fork server's process.

It loads the modules it is told, freezes its heap (a collection would touch, and so copy, every page in every child),
and answers one question after another: fork, or how a child ended. It ends with its conductor. Nothing is served
with more than one thread: a fork would leave the others' locks closed for good.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from controller.runtime.forking import messages
from controller.runtime.forking.child import ForkedChild
from controller.runtime.forking.title import set_title

TITLE = "python -P -m controller.runtime.forking.server"


class ForkServer:
    """Answers at `control` until it is closed."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._loaded: dict[Path, int] = {}

    def load(self) -> None:
        """Import what the first message names. Raises ImportError, RuntimeError when a module began a thread."""
        told, _ = messages.receive(self._control)
        for name in told["modules"]:
            import_module(name)
        if (threads := len(list(Path("/proc/self/task").iterdir()))) > 1:
            raise RuntimeError(f"{threads - 1} threads were begun by loading {', '.join(told['modules'])}")
        self._loaded = _written(_files())
        gc.collect()
        gc.disable()
        gc.freeze()
        messages.send(self._control, {"loaded": len(sys.modules)})

    def serve(self) -> ForkedChild | None:
        """The child, in a child; None when the conductor is gone."""
        while True:
            try:
                order, descriptors = messages.receive(self._control)
            except EOFError:
                return None
            if "reap" in order:
                messages.send(self._control, {"status": _reap(order["reap"])})
            elif child := self._answer_fork(order, descriptors):
                return child

    def _answer_fork(self, order: dict[str, Any], descriptors: list[int]) -> ForkedChild | None:
        if _written(self._loaded) != self._loaded:
            answer: dict[str, Any] = {"outdated": True}
        else:
            try:
                if (pid := _fork(child := ForkedChild.of(order, descriptors), self._control)) == 0:
                    return child
                answer = {"pid": pid}
            except OSError as refused:
                answer = {"refused": str(refused)}
        for each in descriptors:
            os.close(each)
        messages.send(self._control, answer)
        return None


def _fork(child: ForkedChild, control: socket.socket) -> int:
    """0 in the child. In the server, the child's pid once it leads a session. Raises OSError."""
    hears, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        control.detach()  # closed with all that is not the child's
        child.settle(says)
        return 0
    os.close(says)
    settled = os.read(hears, 1)
    os.close(hears)
    if not settled:
        os.waitpid(pid, 0)
        raise ChildProcessError("the fork ended before it led a session")
    return pid


def _reap(pid: int) -> int | None:
    try:
        gone, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if gone else None


def _files() -> list[Path]:
    return [Path(file) for each in list(sys.modules.values()) if (file := getattr(each, "__file__", None))]


def _written(files: Iterable[Path]) -> dict[Path, int]:
    """When each was written, 0 for one that is gone: another version of the code needs another server."""
    return {each: each.stat().st_mtime_ns if each.exists() else 0 for each in files}


def main() -> None:
    server = ForkServer(socket.socket(fileno=int(sys.argv[1])))
    set_title(TITLE)
    server.load()
    if child := server.serve():
        child.run()


if __name__ == "__main__":
    main()
