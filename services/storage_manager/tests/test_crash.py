"""kill -9 while a blob is written, and between its rename and the index's commit: the old object remains."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from services.storage_manager.blob_format import AesGcmCipher
from services.storage_manager.blobs import Blobs
from services.storage_manager.metadata import MetadataIndex, Object, Piece

HALFWAY = """
import os, signal, sys, pathlib
from services.storage_manager.blobs import Blobs
from services.storage_manager.blob_format import AesGcmCipher
writer = Blobs(pathlib.Path(sys.argv[1])).write("half", AesGcmCipher(b"k" * 32, "half"))
writer.feed(b"x" * 200000)
os.kill(os.getpid(), signal.SIGKILL)
"""
DYING = """
import os, signal, sys, pathlib
from services.storage_manager.blobs import Blobs
from services.storage_manager.blob_format import AesGcmCipher
writer = Blobs(pathlib.Path(sys.argv[1])).write("new", AesGcmCipher(b"k" * 32, "new"))
writer.feed(b"new bytes"); writer.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(program: str, folder: Path) -> None:
    died = subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    assert died.returncode == -signal.SIGKILL


def test_the_old_object_remains(tmp_path: Path) -> None:
    blobs, metadata, cipher = (
        Blobs(tmp_path / "blobs"),
        MetadataIndex(tmp_path / "m.db"),
        AesGcmCipher(b"k" * 32, "old"),
    )
    writer = blobs.write("old", cipher)
    writer.feed(b"old bytes")
    writer.commit()
    metadata.put("b", Object("k", 9, "e", 0.0, {}, (Piece("old", 9, "x"),)))
    killed(DYING, tmp_path / "blobs")
    found = MetadataIndex(tmp_path / "m.db").find("b", "k")
    assert found and found.pieces[0].blob == "old"
    assert b"".join(blobs.read("old", cipher, 9, 0, 9)) == b"old bytes"
    assert {p.name for p in blobs.old_files(older_than_seconds=-1)} - metadata.known_blobs() == {"new"}


def test_a_dead_writers_half_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    living = blobs.write("living", AesGcmCipher(b"k" * 32, "living"))
    killed(HALFWAY, tmp_path)
    assert {each.name for each in blobs.temporary.iterdir()} == {"living", "half"}
    assert (blobs.drop_dead(), blobs.drop_dead()) == (1, 0)
    living.feed(b"on and on")
    living.commit()
    assert b"".join(blobs.read("living", AesGcmCipher(b"k" * 32, "living"), 9, 0, 9)) == b"on and on"
