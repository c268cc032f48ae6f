"""pyarrow's own S3 file system, which is the AWS SDK for C++, and a table in Parquet on it."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

files = fs.S3FileSystem(
    endpoint_override=os.environ["AWS_ENDPOINT_URL"],
    tls_ca_file_path=os.environ["AWS_CA_BUNDLE"],
    allow_bucket_creation=True,
    allow_bucket_deletion=True,
)
files.create_dir("pyarrow-files")
body = os.urandom(1 << 20) * 24
with files.open_output_stream("pyarrow-files/a/large") as stream:
    stream.write(body)
with files.open_input_file("pyarrow-files/a/large") as file:
    assert file.size() == len(body) and file.read_at(100, 7_000_000) == body[7_000_000:7_000_100]
files.move("pyarrow-files/a/large", "pyarrow-files/b/moved")
with files.open_input_stream("pyarrow-files/b/moved") as stream:
    assert stream.readall() == body
files.delete_dir("pyarrow-files/b")
table = pa.table({"year": [2024, 2025, 2026] * 100, "n": list(range(300))})
ds.write_dataset(
    table,
    "pyarrow-files/table",
    filesystem=files,
    format="parquet",
    partitioning=["year"],
    partitioning_flavor="hive",
)
read = ds.dataset("pyarrow-files/table", filesystem=files, format="parquet", partitioning="hive")
assert read.to_table(filter=ds.field("year") == 2025)["n"].to_pylist() == list(range(1, 300, 3))
files.delete_dir_contents("pyarrow-files")
assert files.get_file_info(fs.FileSelector("pyarrow-files", recursive=True)) == []
files.delete_dir("pyarrow-files")
print("done")
