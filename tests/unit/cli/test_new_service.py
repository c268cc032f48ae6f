"""`aerekos new service`: the folder it writes passes its own tests and our style; what is taken is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.scaffold.service import names_of, next_steps, write_service
from controller.main.errors import Misuse, UserError
from services.sdk.discovery import catalog_of, managed_services

ROOT = Path(__file__).parents[3]


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    told = {**os.environ, **env}
    return subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "kind", "folder", "named", "plural"),
    [
        ("notes", None, "notes_manager", "Note", "notes"),
        ("notes_manager", None, "notes_manager", "Note", "notes"),
        ("mail_boxes", None, "mail_boxes_manager", "MailBox", "mailboxes"),
        ("policies", None, "policies_manager", "Policy", "policies"),
        ("dns", "Zone", "dns_manager", "Zone", "zones"),
    ],
)
def test_one_word_gives_all_names(name: str, kind: str | None, folder: str, named: str, plural: str) -> None:
    names = names_of(name, kind)
    assert (names.folder, names.kind, names.plural) == (folder, named, plural)


@pytest.mark.parametrize("name", ["", "Notes", "9notes", "no-tes", "a/b", "../x", "_notes", "notes_", "n" * 41])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Misuse, match="cannot be the name of a managed service"):
        names_of(name, None)


@pytest.mark.parametrize("kind", ["note", "No-te", "", "Ñote"])
def test_what_is_no_kind_is_refused(kind: str) -> None:
    if kind:
        with pytest.raises(Misuse, match="cannot be the name of a kind"):
            names_of("notes", kind)


def test_names_and_kinds_that_are_taken_are_refused() -> None:
    for service in managed_services():
        if not service.name.endswith("_manager"):
            continue  # what is made anew is called so: the two cannot meet
        with pytest.raises(Misuse, match="there is a managed service"):
            names_of(service.name, "Fresh")
    for kind in catalog_of(managed_services()):
        with pytest.raises(Misuse, match=f"there is a kind {kind.name}"):
            names_of("fresh", kind.name)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes_manager").mkdir()
    with pytest.raises(UserError, match="is there already"):
        write_service(names_of("notes", None), tmp_path)
    assert not list((tmp_path / "notes_manager").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="Not a directory"):
        write_service(names_of("notes", None), tmp_path / "file")


def test_what_is_written_passes_its_own_tests_and_our_style(tmp_path: Path) -> None:
    names = names_of("mail_boxes", None)
    folder = write_service(names, tmp_path)
    assert f"aerekos down; AEREKOS_SERVICES_PATH={tmp_path} aerekos up" in next_steps(names, folder)
    done = run(sys.executable, "-m", "pytest", "-q", "-n", "0", str(folder), AEREKOS_SERVICES_PATH=str(tmp_path))
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout + done.stderr
    config = ("--config", str(ROOT / "pyproject.toml"), "--no-cache", str(folder))
    for command in (("check",), ("format", "--check")):
        said = run(sys.executable, "-m", "ruff", *command, *config)
        assert said.returncode == 0, said.stdout + said.stderr


def test_the_command_says_what_comes_next(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "cli.main", "new", "service")
    done = run(*command, "notes", "--in", str(tmp_path))
    assert done.returncode == 0 and str(tmp_path / "notes_manager") in done.stdout, done.stderr
    again = run(*command, "notes", "--in", str(tmp_path))
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    assert run(*command, "--help").returncode == 0
