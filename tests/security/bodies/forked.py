"""What a child of the fork server does in `test_isolation`: a Python text in itself, or another program behind its
walls."""

from __future__ import annotations

import os
import sys


def main() -> None:
    command = sys.argv[1:]
    if command[:3] == [sys.executable, "-P", "-c"]:
        sys.argv[:] = ["-c", *command[4:]]
        exec(compile(command[3], "attempts", "exec"), {"__name__": "__main__"})
    else:
        os.execvp(command[0], command)
