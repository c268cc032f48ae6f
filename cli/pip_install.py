"""Installing for `make up`, before there is anything: pip installs what a lock file names, told in few lines.

    python -m cli.pip_install LOG [what follows `pip install`]...

All that pip says goes to LOG. Of a failure, its errors are shown, what they mean, and what to do. Runs where nothing
but pip is installed, so it is made of the standard library alone, as `cli.output` is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from cli.output import complain, say

_STEP = 20
_INTERRUPTED = 130
_LAST_LINES = 5
_GOT = re.compile(r"(?:Collecting|Requirement already satisfied:) ")
_NO_NETWORK = (
    *("NewConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ProxyError", "Read timed out"),
    *("NameResolutionError", "Connection refused", "Network is unreachable", "Could not fetch URL"),
)
# What pip says of it, what that means, and what to do. The first that fits counts.
_CAUSES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("No space left on device",), "the disk is full", "free some space (du -sh .venv), then again"),
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        "the package index shows a certificate that this machine does not trust",
        "set the clock (date); behind a proxy that reads TLS: export PIP_CERT=/path/to/its-ca.pem",
    ),
    (
        ("DO NOT MATCH THE HASHES",),
        "the package index served other bytes than the lock file names; they were not installed",
        "again, or from another index: export PIP_INDEX_URL=...   When it stays so, somebody changed a package",
    ),
    (
        _NO_NETWORK,
        "the package index cannot be reached from here: the first time needs a network, later starts do not",
        "connect this machine, then again; behind a proxy: export HTTPS_PROXY=http://HOST:PORT; with an index of "
        "your own: export PIP_INDEX_URL=...",
    ),
    (
        ("No matching distribution", "Failed building wheel", "Could not build wheels", "Failed to build"),
        "a package has no build for this Python on this machine",
        "another Python, 3.11 to 3.13: make clean, then make up PYTHON=python3.12",
    ),
)


class Telling:
    """Turns pip's lines into a line for every twenty packages, and one for an index that does not answer."""

    def __init__(self, total: int) -> None:
        self._total, self._got, self._said_retry = total, 0, False

    def of(self, line: str) -> str:
        """What is to be said when pip says that; mostly nothing."""
        if _GOT.match(line):
            self._got += 1
            return f"{self._got} of {self._total} packages" if self._got % _STEP == 0 else ""
        if line.startswith("Installing collected packages"):
            return "unpacking" if self._total >= _STEP else ""
        if "Retrying (" in line and not self._said_retry:
            self._said_retry = True
            return "the package index does not answer; trying again"
        return ""


def explain(lines: Iterable[str]) -> tuple[str, str]:
    """What the words of a pip that failed mean, and what to do; empty when nobody knows."""
    text = "\n".join(lines)
    for signs, meaning, fix in _CAUSES:
        if any(each in text for each in signs):
            return meaning, fix
    return "", ""


def count_locked(arguments: Sequence[str]) -> int:
    """How many packages the requirement files among pip's arguments name."""
    files = [after for before, after in pairwise(arguments) if before == "-r"]
    lines = (line for each in files for line in Path(each).read_text().splitlines())
    return sum("==" in line and line[0].isalnum() for line in lines)


def install(log: Path, arguments: Sequence[str]) -> int:
    """pip's exit code, 130 when interrupted; what there is to say has been said."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    telling, said = Telling(count_locked(arguments)), list[str]()
    with (
        log.open("a", buffering=1) as kept,
        subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as pip,
    ):
        for line in pip.stdout or ():
            kept.write(line)
            said.append(line.rstrip("\n"))
            if news := telling.of(line):
                say(f"    {news}")
    if pip.returncode:
        _complain(said, log)
    return pip.returncode


def _complain(said: Sequence[str], log: Path) -> None:
    errors = [line for line in said if line.startswith("ERROR: ")] or said[-_LAST_LINES:]
    meaning, fix = explain(said)
    told = [*errors, f"error: not everything was installed{f': {meaning}' if meaning else ''}"]
    told += [f"  try: {fix}"] if fix else []
    complain("\n".join([*told, f"  all that pip said: {log}"]))


def main(arguments: Sequence[str]) -> int:
    """The command."""
    try:
        return install(Path(arguments[0]), arguments[1:])
    except KeyboardInterrupt:
        complain("\ninterrupted: what is installed stays, and the same command goes on from there")
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
