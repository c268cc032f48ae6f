"""Who is logged in where: `~/.config/aerekos/context.json`, readable by its owner only.

One context per AEREKOS_HOME, so that a login to one cloud never answers for another on the same machine.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cli.errors import Misuse


@dataclass(frozen=True, slots=True)
class Context:
    """One login. `ca` is PEM text; None means the system's own authorities."""

    server: str
    user: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    ca: str | None = None


def context_file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "aerekos" / "context.json"


def current() -> Context | None:
    """The login that counts here, or None: then the local admin's certificate does."""
    kept = _read().get(_place())
    try:
        return Context(**kept) if kept else None
    except TypeError as error:
        raise Misuse(f"{context_file()}: {error}", hint="aerekos logout, then log in again") from error


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
    return os.environ.get("AEREKOS_HOME", "")


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
