"""kill -9 between the blob's rename and the metadata commit: the old object remains."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from services.storage_manager.blobs import Blobs
from services.storage_manager.book import Metadata, Object, Piece
from services.storage_manager.frames import Gcm

DYING = """
import os, signal, sys, pathlib
from services.storage_manager.blobs import Blobs
from services.storage_manager.frames import Gcm
writer = Blobs(pathlib.Path(sys.argv[1])).write("new", Gcm(b"k" * 32, "new"))
writer.feed(b"new bytes"); writer.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_old_object_remains(tmp_path: Path) -> None:
    blobs, book, box = Blobs(tmp_path / "blobs"), Metadata(tmp_path / "m.db"), Gcm(b"k" * 32, "old")
    writer = blobs.write("old", box)
    writer.feed(b"old bytes")
    writer.commit()
    book.put("b", Object("k", 9, "e", 0.0, {}, (Piece("old", 9, "x"),)))
    died = subprocess.run([sys.executable, "-c", DYING, str(tmp_path / "blobs")], check=False)
    assert died.returncode == -signal.SIGKILL
    found = Metadata(tmp_path / "m.db").find("b", "k")
    assert found and found.pieces[0].blob == "old"
    assert b"".join(blobs.read("old", box, 9, 0, 9)) == b"old bytes"
    assert {p.name for p in blobs.old_files(older_than_seconds=-1)} - book.known_blobs() == {"new"}
