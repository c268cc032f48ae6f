"""`aerekos backup delete`: what is named goes, and nothing when one of the names is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.backup.conftest import PASSPHRASE
from unit.backup.test_repository import backed_up, read

from cli.lifecycle.backup import delete
from controller.backup.locations import Folder
from controller.backup.repository import Repository, heads
from controller.main.errors import UserError


def test_backups_that_are_named_go_and_the_others_stay(repository: Repository, place: Folder, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.touch(mode=0o600)
    file.write_text(PASSPHRASE)
    old, kept = (backed_up(repository, b"shared", mark=f"0000000{number}") for number in (1, 2))
    with pytest.raises(UserError, match="no backup 20200101T000000Z-00000001"):
        delete(place.name, file, [old.head.id, "20200101T000000Z-00000001"])
    assert len(heads(place)) == 2
    (place.root / "manifests" / old.head.id).write_bytes(b"damaged")
    assert delete(place.name, file, [old.head.id]).startswith(f"{old.head.id} deleted; 0 chunks")
    assert [each.id for each in heads(place)] == [kept.head.id] and read(repository, kept) == b"shared"
