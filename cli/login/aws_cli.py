"""The aws CLI that is installed here: whether it knows where to go, and running it against this cloud."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import NoReturn

from controller.main.errors import UserError

# Older ones do not read AWS_ENDPOINT_URL, and would speak to Amazon.
_FIRST = {1: (1, 29, 0), 2: (2, 13, 0)}
_PATIENCE_SECONDS = 20.0
WARNING = (
    "warning: this aws CLI ({version}) does not read AWS_ENDPOINT_URL; newer ones do: 2.13, or 1.29.\n"
    "  From here on `aws` is a function of this shell that gives it the address. Scripts need a newer one, "
    "or: aerekos aws ..."
)


def installed_version() -> tuple[int, ...] | None:
    """Version of the `aws` that would run; None when there is none or it does not say."""
    program = shutil.which("aws")
    if program is None:
        return None
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # Version 1 of old says it on stderr.
    return read_version(said.stdout + said.stderr)


def read_version(text: str) -> tuple[int, ...] | None:
    """`(2, 9, 19)` of `aws-cli/2.9.19 Python/3.11.2 ...`."""
    _, _, rest = text.partition("aws-cli/")
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", rest)
    return tuple(int(each) for each in found.groups()) if found else None


def is_too_old(version: tuple[int, ...] | None) -> bool:
    """Whether it would go to Amazon. One that nobody knows is given the benefit of the doubt."""
    return version is not None and version < _FIRST.get(version[0], (0,))


def warning(version: tuple[int, ...]) -> str:
    """A warning for people whose `aws` is too old."""
    return WARNING.format(version=".".join(str(each) for each in version))


def run(variables: dict[str, str], arguments: Sequence[str]) -> NoReturn:
    """Becomes the aws CLI: its output, its signals and its exit code are this command's. Raises UserError."""
    program = shutil.which("aws")
    if program is None:
        raise UserError("there is no aws CLI on this machine", hint="pip install awscli")
    address = ["--endpoint-url", variables["AWS_ENDPOINT_URL"]] if is_too_old(installed_version()) else []
    env = {name: value for name, value in os.environ.items() if name not in ("AWS_SESSION_TOKEN", "AWS_PROFILE")}
    try:
        os.execve(program, ["aws", *address, *arguments], {**env, **variables})  # noqa: S606 (no shell is the point)
    except OSError as error:
        raise UserError(f"{program} cannot be started: {error.strerror}", hint="pip install awscli") from error
