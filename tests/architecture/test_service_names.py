"""A managed service is a folder: nothing outside it names it, so that another one is another folder, and no edit."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sdk.discovery import managed_services

ROOT = Path(__file__).parents[2]
NAMES = sorted(each.name for each in managed_services())
# What a cloud is made of. Tests, pages, benches and examples may speak of the services there are.
PLACES = ("agent", "api", "cli", "controller", "crds", "dashboard/src", "images", "services/sdk")
FILES = ("pyproject.toml", "stack.yml", "Makefile", "hatch_build.py", "aerekos_cloud/__init__.py")
KINDS_OF_FILE = {".py", ".ts", ".tsx", ".sh", ".toml", ".yml", ".yaml", ""}


def sources() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *PLACES, *FILES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split():
        file = Path(name)
        is_test = "tests" in file.parts or ".test." in file.name
        if file.suffix in KINDS_OF_FILE and not is_test:
            yield file


def naming(text: str, name: str) -> list[int]:
    """The lines that name that service, by its folder or by its Service."""
    spelled = re.compile(rf"(?<![\w-]){name.replace('_', '[-_]')}(?![a-z])")
    return [number for number, line in enumerate(text.splitlines(), 1) if spelled.search(line)]


@pytest.mark.parametrize("name", NAMES)
def test_no_file_outside_its_folder_names_a_service(name: str) -> None:
    found = [
        f"{file}:{number}"
        for file in sources()
        for number in naming((ROOT / file).read_text(encoding="utf-8", errors="replace"), name)
    ]
    assert not found, found


def test_what_is_looked_for_is_found() -> None:
    assert naming("a\nfrom services.key_manager import x\n", "key_manager") == [2]
    assert naming("'/services/key-manager/'", "key_manager") == [1]
    assert naming("key-manager-0", "key_manager") == [1]
    assert naming("keys_managers of monkey_manager", "key_manager") == []
    assert len(list(sources())) > 300 and len(NAMES) >= 2


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    said = subprocess.run([str(program)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout
