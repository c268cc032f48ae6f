"""`run/standby.json` says that this home's conductor stands by, and for whom. Whoever only asks that does not pay for
the import of a store.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path

from controller.kit.files import write_private
from controller.kit.unix_sockets import short_path
from controller.main import running_conductor
from controller.main.settings import Settings


def leader(settings: Settings) -> str:
    """Where the conductor is reached that this home's stands by for; empty where it does not."""
    if running_conductor.running(settings) is None:
        return ""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(_file(settings).read_text())["leader"])
    return ""


def can_be_asked(settings: Settings) -> bool:
    """Whether this home's conductor has got so far that it answers, leading or not."""
    from api.front_proxy import SOCKET

    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(short_path(settings.run / SOCKET))
        except OSError:
            return False
    return True


def note_leader(settings: Settings, url: str, holder: str) -> None:
    """This home's conductor stands by from now on. `url`: where the one that leads is reached; `holder`: its name."""
    write_private(_file(settings), json.dumps({"leader": url, "holder": holder}).encode())


def forget_leader(settings: Settings) -> None:
    """It does not, or not any more."""
    _file(settings).unlink(missing_ok=True)


def _file(settings: Settings) -> Path:
    return settings.run / "standby.json"
