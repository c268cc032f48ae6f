"""Terraform's state in a bucket, with its lock there too: who comes second is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import PATIENCE_SECONDS, Tools

pytestmark = pytest.mark.s3_tools
# Needs no provider: what there is to do is to wait for a file that the test makes.
CONFIGURATION = """
terraform {
  backend "s3" {
    key                         = "network/terraform.tfstate"
    use_lockfile                = true
    use_path_style              = true
    skip_requesting_account_id  = true
    skip_region_validation      = true
    skip_metadata_api_check     = true
  }
}
variable "text" { default = "first" }
resource "terraform_data" "one" {
  input = var.text
  provisioner "local-exec" {
    command = "touch started; while test -e wait; do sleep 0.1; done"
  }
}
output "text" { value = terraform_data.one.output }
"""


@pytest.fixture
def terraform() -> str:
    """Whatever Terraform of 1.10 or later there is: it comes as no package."""
    found = next((path for each in ("terraform", "tofu") if (path := shutil.which(each))), None)
    said = (
        ""
        if found is None
        else subprocess.run([found, "version"], capture_output=True, text=True, check=False).stdout
    )
    version = re.search(r"v(\d+)\.(\d+)", said)
    if found is None or version is None or (int(version[1]), int(version[2])) < (1, 10):
        pytest.skip("neither Terraform nor OpenTofu of 1.10 or later is here, which keep their lock in the bucket")
    return found


def test_a_state_in_a_bucket_has_one_writer(tools: Tools, terraform: str, bucket: str, tmp_path: Path) -> None:
    env = {**os.environ, **tools.env(), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    (tmp_path / "main.tf").write_text(CONFIGURATION)

    def command(*arguments: str) -> list[str]:
        return [terraform, arguments[0], "-no-color", *arguments[1:]]

    def do(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    said = do("init", "-input=false", f"-backend-config=bucket={bucket}")
    assert said.returncode == 0, said
    apply = ("apply", "-auto-approve", "-input=false")
    (tmp_path / "wait").touch()
    with subprocess.Popen(
        command(*apply), cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as first:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (tmp_path / "started").exists():
            assert first.poll() is None and time.monotonic() < deadline, first.stdout and first.stdout.read()
            time.sleep(0.05)
        refused = do(*apply, "-var=text=second")
        assert refused.returncode != 0
        assert "Error acquiring the state lock" in refused.stderr and "PreconditionFailed" in refused.stderr, refused
        (tmp_path / "wait").unlink()
        assert first.wait(PATIENCE_SECONDS) == 0
    assert json.loads(do("output", "-json").stdout)["text"]["value"] == "first"
    assert do(*apply, "-var=text=second").returncode == 0
    assert do("plan", "-detailed-exitcode", "-var=text=second").returncode == 0
    assert do("destroy", "-auto-approve").returncode == 0
    left = tools.cloud.aws("s3", "ls", "--recursive", f"s3://{bucket}").out
    assert "terraform.tfstate" in left and ".tflock" not in left
