"""Libraries that programs speak S3 with: each file in `programs` says what it does, and fails by itself."""

from __future__ import annotations

import pytest

from .conftest import Tools

pytestmark = pytest.mark.s3_tools


@pytest.mark.parametrize(
    ("file", "program"),
    [
        ("boto3_transfer.py", "aws"),
        ("boto3_presigned.py", "aws"),
        ("minio_objects.py", "minio"),
        ("pyarrow_files.py", "aws"),
        ("s3fs_files.py", "aws"),
        ("javascript_sdk.mjs", "aws"),
    ],
    ids=lambda text: text.partition(".")[0] if "." in text else "",
)
def test_a_library_as_it_is_installed(tools: Tools, file: str, program: str) -> None:
    assert tools.script(file, program=program).splitlines()[-1] == "done"
