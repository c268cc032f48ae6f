"""s3fs: folders are put, got, copied and taken away whole, a bucket with all that is in it too."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import s3fs

files = s3fs.S3FileSystem()
files.mkdir("s3fs-files")
body = os.urandom(1 << 20) * 24
with files.open("s3fs-files/large", "wb", block_size=5 << 20) as file:
    file.write(body)
with files.open("s3fs-files/large", "rb") as file:
    file.seek(7_000_000)
    assert file.read(100) == body[7_000_000:7_000_100]
assert files.cat("s3fs-files/large") == body
with tempfile.TemporaryDirectory() as folder:
    tree = Path(folder, "tree")
    for number in range(40):
        file = tree / f"d{number % 4}" / f"of {number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(number))
    files.put(f"{tree}/", "s3fs-files/t/", recursive=True)
    files.get("s3fs-files/t/", f"{folder}/back/", recursive=True)
    assert len(list(Path(folder, "back").rglob("of *"))) == 40
assert len(files.find("s3fs-files/t")) == 40 and len(files.glob("s3fs-files/t/*/of 1*")) == 11
files.mv("s3fs-files/t/d1/of 1", "s3fs-files/t/d1/moved")
files.cp("s3fs-files/t/d1", "s3fs-files/copied", recursive=True)
files.rm("s3fs-files/t", recursive=True)
assert not files.exists("s3fs-files/t") and len(files.find("s3fs-files/copied")) == 10
files.rm("s3fs-files", recursive=True)
assert not files.exists("s3fs-files")
print("done")
