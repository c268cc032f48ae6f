"""Logins that are kept: `~/.config/aerekos/context.json`, readable by its owner only.

One context per AEREKOS_HOME, so that a login to one cloud never answers for another on the same machine. A command
can name another of them, or `local`: the admin of this machine's own cloud, whoever is logged in.
"""

from __future__ import annotations

import json
import os
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from controller.main.errors import Misuse

LOCAL = "local"
_chosen: ContextVar[str | None] = ContextVar("chosen", default=None)


@dataclass(frozen=True, slots=True)
class Context:
    """One login. `ca` is PEM text; None means the system's own authorities."""

    server: str
    user: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    ca: str | None = None

    @property
    def name(self) -> str:
        """`user@host:port`, by which `--context` chooses it."""
        return f"{self.user}@{self.server.partition('://')[2]}"


def choose(name: str | None) -> None:
    """Let what follows act as that login; None: as the one of this place. Raises Misuse for an unknown one."""
    _chosen.set(name)
    if name not in (None, LOCAL) and name not in known():
        _chosen.set(None)
        raise Misuse(f'no login is called "{name}"', hint=f"one of {', '.join(known())}")


def as_arguments() -> list[str]:
    """What makes another call of this program choose the same; nothing when nothing was chosen."""
    chosen = _chosen.get()
    return ["--context", chosen] if chosen else []


def known() -> list[str]:
    """What `choose` takes."""
    return [LOCAL, *sorted(set(_names().values()))]


def context_file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "aerekos" / "context.json"


def current() -> Context | None:
    """The login that counts here, or None: then the local admin's certificate does."""
    if _chosen.get() == LOCAL:
        return None
    kept = _read().get(_place())
    return _context(kept) if kept else None


def _context(kept: dict[str, Any]) -> Context:
    try:
        return Context(**kept)
    except TypeError as error:
        raise Misuse(f"{context_file()}: {error}", hint="aerekos logout, then log in again") from error


def pinned(server: str) -> str | None:
    """The CA (PEM) by which a login of this user, in whatever place, knows that cloud."""
    there = (kept for kept in _read().values() if kept.get("server") == server and kept.get("ca"))
    return next((str(kept["ca"]) for kept in there), None)


def keep(context: Context) -> None:
    """Make `context` the login of this place."""
    _write({**_read(), _place(): asdict(context)})


def forget() -> bool:
    """Whether there was a login to forget."""
    kept = _read() if context_file().exists() else {}
    gone = kept.pop(_place(), None)
    if gone is not None:
        _write(kept)
    return gone is not None


def _place() -> str:
    """Where the login that counts is kept: under the home it was made in."""
    chosen = _chosen.get()
    here = os.environ.get("AEREKOS_HOME", "")
    return next((place for place, name in _names().items() if name == chosen), here) if chosen else here


def _names() -> dict[str, str]:
    """Each place, and the name of the login that is kept there."""
    kept = _read()
    return {place: _context(each).name for place, each in kept.items() if each}


def _read() -> dict[str, Any]:
    try:
        found = json.loads(context_file().read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Misuse(f"{context_file()} cannot be read: {error}", hint=f"rm {context_file()}") from error
    if not isinstance(found, dict):
        raise Misuse(f"{context_file()} holds no contexts", hint=f"rm {context_file()}")
    return found


def _write(contexts: dict[str, Any]) -> None:
    from controller.kit.files import write_private

    context_file().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(context_file(), json.dumps(contexts, indent=1).encode())
