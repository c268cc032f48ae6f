"""What docs/operations tells people to type, typed in a cloud with an object in it; what it promises holds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clouds import PATIENCE_SECONDS, REPOSITORY, Cloud, eventually

PAGES = REPOSITORY / "docs" / "operations"
# page → its sections that take another machine, another version of the program, or names to fill in.
NOT_RUN = {
    "upgrade.md": {"A checkout", "A wheel"},
    "moving.md": {"To another machine"},
    "lost-keys.md": {"The key of a bucket is gone"},
}
CONTENT = "still here\n"


def sections(page: str) -> dict[str, str]:
    """Title → its indented lines, as one script; what stands before the first title goes by the name of the page."""
    parts = re.split(r"^##? ", (PAGES / page).read_text(encoding="utf-8"), flags=re.M)[1:]
    found: dict[str, str] = {}
    for part in parts:
        title, _, text = part.partition("\n")
        lines = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]
        if lines and title not in NOT_RUN.get(page, set()):
            found[title] = "\n".join(lines) + "\n"
    return found


@dataclass
class Operator:
    """Somebody at a shell of the cloud's machine, with a home directory of their own."""

    cloud: Cloud
    folder: Path

    def type(self, script: str) -> str:
        """What it prints. Fails with the first line that fails, as an operator would stop there."""
        bin_folder = Path(sys.executable).parent
        env = {**self.cloud.env, "HOME": str(self.folder), "PATH": f"{bin_folder}:{os.environ['PATH']}"}
        env |= {"KUBECONFIG": str(self.folder / "kubeconfig"), "PYTHONPATH": str(REPOSITORY)}
        prelude = sections("README.md")["Operations"]
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-ec", prelude + script],
            env=env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS * 3,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n→ {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def stored(self) -> str:
        """What is in the bucket, or why it cannot be read."""
        said = self.cloud.aws("s3", "cp", "s3://kept/object", "-")
        return said.out or said.err


@pytest.fixture
def operator(new_cloud, tmp_path: Path) -> Iterator[Operator]:
    cloud: Cloud = new_cloud()
    cloud.do("up")
    operator = Operator(cloud, tmp_path)
    (tmp_path / "object").write_text(CONTENT)
    (tmp_path / "kubeconfig").write_text(cloud.do("kubeconfig"))
    for command in (["mb", "s3://kept"], ["cp", str(tmp_path / "object"), "s3://kept/object"]):
        assert cloud.aws("s3", *command).code == 0
    yield operator


def test_nothing_is_left_out_that_is_not_there() -> None:
    for page, titles in NOT_RUN.items():
        assert all(f"## {each}\n" in (PAGES / page).read_text(encoding="utf-8") for each in titles)


@pytest.mark.long
def test_a_backup_is_made_and_is_the_way_back(operator: Operator) -> None:
    page = sections("backup.md")
    operator.type(page["Make one"])
    assert oct((operator.folder / "aerekos-backup.tgz").stat().st_mode & 0o777) == "0o600"
    operator.cloud.do("create", "service", "later", "--command", "sleep 600")
    operator.type(page["Go back to it"])
    assert operator.stored() == CONTENT
    assert "later" not in operator.cloud.do("get", "services")


def test_a_cloud_comes_back_from_nothing(operator: Operator) -> None:
    page, cloud = sections("disaster-recovery.md"), operator.cloud
    operator.type(page["The passphrase"] + page["Back up"] + page["Know that it works"])
    assert "nightly" in operator.type(page["On a schedule"])
    assert "nothing was changed: --dry-run" in operator.type(page["One namespace, or one resource"])
    cloud.do("create", "service", "later", "--command", "sleep 600")
    assert "1 buckets" in operator.type(page["The machine is gone"])
    assert operator.stored() == CONTENT and "later" not in cloud.do("get", "services")
    (made,) = json.loads(cloud.do("get", "backups", "-o", "json"))["items"]  # it was being made when it was backed up
    cloud.do("wait", f"backup/{made['metadata']['name']}", "--for", "condition=Complete", "--timeout", "80")
    moment = datetime.now(UTC).isoformat()
    operator.type('aerekos create service wrong --command "sleep 600"\n' + page["Back up"])
    operator.type(f"moment={moment}\n" + page["A day too late"])
    assert operator.stored() == CONTENT and "wrong" not in cloud.do("get", "services")


@pytest.mark.long
def test_every_day_commands_work(operator: Operator) -> None:
    for page, title in (
        ("rollback.md", "Of a service"),
        ("rollback.md", "Of anything else"),
        ("upgrade.md", "Afterwards"),
        ("logs.md", "Logs"),
    ):
        operator.type(sections(page)[title])
    operator.type(sections("rollback.md")["Of the program"])
    assert operator.stored() == CONTENT


@pytest.mark.long
def test_a_home_may_lie_elsewhere(operator: Operator) -> None:
    operator.type(sections("moving.md")["Into another folder"])
    moved = Cloud(Path(f"{operator.cloud.home}-elsewhere"), operator.cloud.port)
    try:
        assert Operator(moved, operator.folder).stored() == CONTENT
    finally:
        moved.command("down")


@pytest.mark.long
def test_a_lost_ca_is_put_back_or_made_again(operator: Operator) -> None:
    page, cloud = sections("lost-ca.md"), operator.cloud
    operator.type(sections("backup.md")["Make one"])
    known = cloud.do("ca", "fingerprint")
    operator.type('aerekos down; rm -r "$home/tls"; aerekos up')
    assert cloud.do("ca", "fingerprint") != known
    operator.type(page["It is gone, and there is a backup"])
    assert (cloud.do("ca", "fingerprint"), operator.stored()) == (known, CONTENT)
    said = operator.type(page["It is gone for good, or somebody else may have it"])
    assert cloud.do("ca", "fingerprint") in said and known not in cloud.do("ca", "fingerprint")
    assert operator.stored() == CONTENT


@pytest.mark.long
def test_lost_keys_are_put_back_or_given_up(operator: Operator) -> None:
    page, cloud = sections("lost-keys.md"), operator.cloud
    operator.type(sections("backup.md")["Make one"])
    before = cloud.aws_env()["AWS_ACCESS_KEY_ID"]
    operator.type(page["The master key"])
    assert cloud.aws_env()["AWS_ACCESS_KEY_ID"] != before and operator.stored() == CONTENT
    operator.type(page["Lost keys"])
    assert cloud.aws_env()["AWS_ACCESS_KEY_ID"] == before and operator.stored() == CONTENT
    operator.type('aerekos down; rm "$home/secrets/root-key"')
    refused = cloud.command("up")
    assert refused.code != 0 and "root-key is gone" in refused.err
    operator.type('head -c 32 /dev/urandom > "$home/secrets/root-key"')
    refused = cloud.command("up")
    assert refused.code != 0 and "root-key is not the root key of this cloud" in refused.err
    operator.type(page["Lost keys"])
    assert operator.stored() == CONTENT
    operator.type(page["The root key"])
    assert "KeyUnavailableException" in operator.stored()
    eventually(lambda: "BucketKeyLost" in cloud.command("status").out, "the bucket says that its key is lost")
    key = cloud.kms("create-key")["KeyMetadata"]["KeyId"]
    assert key in cloud.do("get", "keys")
