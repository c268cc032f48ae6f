"""Places for backups whose passphrases are cheap to try."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.backup import sealing
from controller.backup.locations import Folder
from controller.backup.repository import Repository, open_or_make

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "COST", {"n": 2**4, "r": 8, "p": 1})


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "place")


@pytest.fixture
def repository(place: Folder) -> Repository:
    return open_or_make(place, PASSPHRASE)
