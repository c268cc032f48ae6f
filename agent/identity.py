"""The identity of this worker: kept in `home/agent/identity.json` (0600), or in memory when embedded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from controller.kit.files import write_private
from crds.model import known_fields

VERSION = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """The answer of `POST /auth/join`. `ca` is PEM text; empty means the system's own authorities."""

    worker: str
    client_id: str
    client_secret: str
    ca: str = ""

    def __repr__(self) -> str:
        return f"Identity(worker={self.worker!r})"  # the secret never reaches a log


class IdentityStore(Protocol):
    """The place where the identity is kept."""

    def load(self) -> Identity | None: ...

    def save(self, identity: Identity) -> None: ...

    def forget(self) -> None: ...


class IdentityFile:
    """An identity on disk: whole or not there, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Identity | None:
        """None when there is none. Raises ValueError when the file is damaged, naming it."""
        try:
            return Identity(**known_fields(Identity, json.loads(self._path.read_text())))
        except FileNotFoundError:
            return None
        except (AttributeError, TypeError, ValueError) as broken:
            raise ValueError(f"{self._path} is damaged: remove it and join again with a new token") from broken

    def save(self, identity: Identity) -> None:
        write_private(self._path, json.dumps({"version": VERSION, **asdict(identity)}).encode())

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)


class IdentityInMemory:
    """An identity for the agent inside the conductor: nothing to join, nothing to keep."""

    def __init__(self, identity: Identity | None = None) -> None:
        self._identity = identity

    def load(self) -> Identity | None:
        return self._identity

    def save(self, identity: Identity) -> None:
        self._identity = identity

    def forget(self) -> None:
        self._identity = None
