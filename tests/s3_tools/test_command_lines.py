"""Programs that copy folders to S3 and back: the aws CLI, rclone, s3cmd, restic."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Tools, a_tree, contents, same

pytestmark = pytest.mark.s3_tools


def test_aws_s3_sync(tools: Tools, bucket: str, tmp_path: Path) -> None:
    there, tree, back = f"s3://{bucket}/t", a_tree(tmp_path / "tree", 2000), tmp_path / "back"
    sync = ("aws", "s3", "sync", "--only-show-errors")

    def do(*arguments: str) -> None:
        said = tools.cloud.aws(*sync[1:], *arguments)
        assert (said.code, said.err) == (0, ""), said

    do(str(tree), there)
    do(there, str(back))
    assert same(tree, back)
    shutil.rmtree(tree / "d3")
    (tree / "d4" / "new").write_text("new")
    do("--delete", str(tree), there)
    do("--delete", there, str(back))
    assert same(tree, back) and len(contents(back)) == 2001 - 100 + 1


def test_rclone(tools: Tools, bucket: str, tmp_path: Path) -> None:
    tree, there = a_tree(tmp_path / "tree", 200), f"aerekos:{bucket}/t"
    (tree / "large").write_bytes(bytes(range(256)) * 50_000)

    def rclone(*arguments: str) -> str:
        return tools.do("rclone", *arguments, program="rclone", env={"RCLONE_CONFIG": "/dev/null"})

    rclone("copy", str(tree), there, "--s3-upload-cutoff=5M", "--s3-chunk-size=5M")
    rclone("check", str(tree), there)
    rclone("check", "--download", str(tree), there)
    shutil.rmtree(tree / "d3")
    (tree / "large").write_text("not any more")
    rclone("sync", str(tree), there)
    rclone("copy", there, str(tmp_path / "back"))
    assert same(tree, tmp_path / "back")
    rclone("copy", there, f"aerekos:{bucket}/copied", "--server-side-across-configs")
    rclone("check", there, f"aerekos:{bucket}/copied")


def test_rclone_versions(tools: Tools, bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"

    def rclone(*arguments: str) -> str:
        return tools.do("rclone", *arguments, program="rclone", env={"RCLONE_CONFIG": "/dev/null"})

    assert "Enabled" in rclone("backend", "versioning", f"aerekos:{bucket}", "Enabled")
    for text in ("first", "second"):
        file.write_text(text)
        rclone("copyto", str(file), f"aerekos:{bucket}/note.txt", "--ignore-times")
    rclone("sync", "--s3-versions", f"aerekos:{bucket}", str(tmp_path / "all"))
    old = [name for name in contents(tmp_path / "all") if name != "note.txt"]
    assert (tmp_path / "all" / "note.txt").read_text() == "second"
    assert [(tmp_path / "all" / name).read_text() for name in old] == ["first"]
    rclone("deletefile", f"aerekos:{bucket}/note.txt")
    rclone("backend", "cleanup-hidden", f"aerekos:{bucket}")
    assert rclone("lsf", "--s3-versions", f"aerekos:{bucket}") == ""


def test_s3cmd(tools: Tools, bucket: str, tmp_path: Path) -> None:
    tree, back, there = a_tree(tmp_path / "tree", 60), tmp_path / "back", f"s3://{bucket}/t/"
    back.mkdir()
    env = tools.env()
    address = env["AWS_ENDPOINT_URL"].removeprefix("https://")
    given = ("-c", "/dev/null", "-q", "--host", address, "--host-bucket", address, "--ca-certs", env["AWS_CA_BUNDLE"])

    def s3cmd(*arguments: str) -> str:
        return tools.do("s3cmd", *given, *arguments)

    s3cmd("sync", f"{tree}/", there)
    shutil.rmtree(tree / "d3")
    shutil.copy(tree / "d1" / "of 1" / "f1", tree / "again")  # copied there, instead of being sent again
    s3cmd("sync", "--delete-removed", f"{tree}/", there)
    s3cmd("sync", there, f"{back}/")
    assert same(tree, back)
    (tmp_path / "large").write_bytes(bytes(range(256)) * 50_000)
    s3cmd("put", "--multipart-chunk-size-mb=5", str(tmp_path / "large"), f"s3://{bucket}/large")
    s3cmd("mv", f"s3://{bucket}/large", f"s3://{bucket}/moved")
    s3cmd("get", f"s3://{bucket}/moved", str(tmp_path / "moved"))
    assert (tmp_path / "moved").read_bytes() == (tmp_path / "large").read_bytes()
    s3cmd("del", "--recursive", "--force", f"s3://{bucket}")
    s3cmd("rb", f"s3://{bucket}")


def test_restic(tools: Tools, bucket: str, tmp_path: Path) -> None:
    tree, back = a_tree(tmp_path / "tree", 300), tmp_path / "back"
    (tree / "large").write_bytes(bytes(range(256)) * 100_000)
    repository = f"s3:{tools.env()['AWS_ENDPOINT_URL']}/{bucket}/backups"
    given = {
        "RESTIC_PASSWORD": "secret",
        "RESTIC_REPOSITORY": repository,
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }

    def restic(*arguments: str) -> str:
        return tools.do("restic", *arguments, program="restic", env=given, folder=tmp_path)

    restic("init")
    restic("backup", "--quiet", "tree")
    (tree / "d1" / "of 1" / "f1").write_text("changed")
    restic("backup", "--quiet", "tree")
    assert "no errors were found" in restic("check", "--read-data")
    restic("restore", "latest", "--target", str(back))
    assert same(tree, back / "tree")
    restic("forget", "--keep-last=1", "--prune")
    assert "no errors were found" in restic("check", "--read-data")
