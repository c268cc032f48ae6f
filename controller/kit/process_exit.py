"""Exit of a process of ours, as its last step."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def exit_now(code: int) -> NoReturn:
    """Call it when everything is closed and written, before the event loop waits for its threads.

    Those may wait for a Docker daemon or a name server that is stopping too (uvloop's own, for names, are not even
    known to Python), and would hold up the end of the process, and so that of its machine, for as long as their
    patience lasts.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
