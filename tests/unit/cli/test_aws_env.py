"""What AWS tools are told: complete, good for every shell, taken back again, and right for an old aws CLI too."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.session import Session

from api.auth.routes.sessions import REGION
from cli.login import aws_cli, aws_env, program_env
from controller.main.errors import Misuse, UserError

VALUES = (
    "https://127.0.0.1:7443",
    "AKIA1",
    "it's $HOME `id`",
    "eu-central-1",
    "eu-central-1",
    "/a b/ca.crt",
    "/a b/ca.crt",
)
VARIABLES = dict(zip(aws_env.NAMES, VALUES, strict=True))
SHELLS = [each for each in ("sh", "bash", "zsh", "fish") if shutil.which(each)]


def told(shell: str, script: str, folder: Path) -> dict[str, str]:
    """The AWS part of the environment after `script`."""
    done = subprocess.run(
        [shell, "-c", f"{script}\nenv"],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_SESSION_TOKEN": "foreign"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in lines if name.startswith(("AWS_", "NODE_EXTRA"))}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_reads_it_and_takes_it_back(shell: str, tmp_path: Path) -> None:
    form = "fish" if shell == "fish" else "sh"
    file = tmp_path / "lines"
    file.write_text(aws_env.as_lines(VARIABLES, form, wraps_aws=True))
    source = f"source {file}" if form == "fish" else f'eval "$(cat {file})"'
    assert told(shell, source, tmp_path) == VARIABLES
    assert told(shell, f"{source}\n{aws_env.unset_lines(form)}", tmp_path) == {}
    assert told(shell, aws_env.unset_lines(form), tmp_path).keys() == {"AWS_SESSION_TOKEN"}  # also when not set


def test_it_may_be_evaluated_without_quotes(tmp_path: Path) -> None:
    """As the README has it: the shell makes one line of all."""
    file = tmp_path / "lines"
    plain = {**VARIABLES, "AWS_SECRET_ACCESS_KEY": "a/b+c="}
    file.write_text(aws_env.as_lines(plain, "sh", wraps_aws=True))
    assert told("sh", f"eval $(cat {file})", tmp_path) == plain


@pytest.mark.parametrize("shell", SHELLS)
def test_an_old_aws_is_given_the_address(shell: str, tmp_path: Path) -> None:
    (tmp_path / "aws").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "aws").chmod(0o755)
    lines = aws_env.as_lines(VARIABLES, "fish" if shell == "fish" else "sh", wraps_aws=True)
    done = subprocess.run(
        [shell, "-c", f"{lines}\naws s3 ls 'a b'"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"--endpoint-url {VARIABLES['AWS_ENDPOINT_URL']} s3 ls a b\n"


@pytest.mark.parametrize(
    ("said", "old"),
    [
        ("aws-cli/2.9.19 Python/3.11.2 Linux/6.1.0 source/x86_64.debian.12 prompt/off", True),
        ("aws-cli/2.13.0 Python/3.11", False),
        ("aws-cli/1.28.9 Python/3.9 botocore/1.30", True),
        ("aws-cli/1.29.0 Python/3.9", False),
        ("aws-cli/3.0.0 Python/3.13", False),
        ("something else", False),
    ],
)
def test_which_aws_would_speak_to_amazon(said: str, old: bool) -> None:
    assert aws_cli.is_too_old(aws_cli.read_version(said)) is old


def test_in_the_region_that_is_told_links_are_signed_with_version_4() -> None:
    session = Session()
    session.set_credentials("AKIA1", "secret")
    client = session.create_client("s3", REGION, endpoint_url="https://127.0.0.1:1", config=Config())
    link = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link


def test_json_is_for_programs() -> None:
    assert json.loads(aws_env.as_lines(VARIABLES, "json")) == VARIABLES
    assert shlex.quote(VARIABLES["AWS_SECRET_ACCESS_KEY"]) in aws_env.as_lines(VARIABLES, "sh")


@pytest.mark.parametrize("program", program_env.PROGRAMS)
def test_what_a_program_is_told_is_taken_back(program: str, tmp_path: Path) -> None:
    variables = program_env.variables_for(program, VARIABLES)
    assert list(variables) == program_env.names_for(program)
    script = f"{aws_env.as_lines(variables, 'sh')}\n{aws_env.unset_lines('sh', program_env.names_for(program))}"
    done = subprocess.run(["sh", "-c", f"{script}\nenv"], env={}, capture_output=True, text=True, check=True)
    assert not [name for name in variables if f"{name}=" in done.stdout]


def test_rclone_is_not_told_what_it_dies_of() -> None:
    assert not [name for name in program_env.names_for("rclone") if name.startswith("AWS_")]


@pytest.mark.parametrize(
    ("server", "named"),
    [
        ("https://127.0.0.1:7443", "localhost"),
        ("https://[::1]:7443", "localhost"),
        ("https://db.test:7443", "db.test"),
    ],
)
def test_pgbackrest_is_told_a_name(server: str, named: str) -> None:
    told = program_env.variables_for("pgbackrest", {**VARIABLES, "AWS_ENDPOINT_URL": server})
    assert (told["PGBACKREST_REPO1_S3_ENDPOINT"], told["PGBACKREST_REPO1_STORAGE_PORT"]) == (named, "7443")


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(UserError, match="wants a name"):
        program_env.variables_for("pgbackrest", {**VARIABLES, "AWS_ENDPOINT_URL": "https://10.0.0.1:7443"})
    with pytest.raises(Misuse, match="not known"):
        program_env.variables_for("cp", VARIABLES)
