"""What a start says besides: how `aerekos` is found, whether it starts at boot, where the first login is when it
takes too long, and that Ctrl-C ends the waiting alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli.lifecycle import up
from cli.output import Progress
from controller.main import autostart, running_conductor
from controller.main.errors import UserError
from controller.main.settings import load

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtualenv whose folder has a space in its name, not on PATH."""
    folder = tmp_path / "my clouds" / "bin"
    folder.mkdir(parents=True)
    (folder / "aerekos").write_text("#!/bin/sh\necho found\n")
    (folder / "aerekos").chmod(0o755)
    monkeypatch.setattr("sys.executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return folder


def test_the_line_for_path_works_as_it_stands_there(bin_folder: Path) -> None:
    (line,) = up._way_to_aerekos()
    done = subprocess.run(["sh", "-c", f"{line}\naerekos"], capture_output=True, text=True, check=False)
    assert done.stdout == "found\n"


def test_it_is_not_said_to_those_who_find_it(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(bin_folder))
    assert up._way_to_aerekos() == []
    (tmp_path / "aerekos").symlink_to(bin_folder / "aerekos")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert up._way_to_aerekos() == [], "a link to it will do"
    (bin_folder / "aerekos").unlink()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert up._way_to_aerekos() == [], "there is none to be found"


def test_a_start_right_after_an_interrupted_one_waits_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load({}, home=tmp_path)
    up.prepare_home(settings)
    monkeypatch.setattr(up, "_not_ready_because", lambda _: "")
    with Progress("x") as progress:
        with pytest.raises(UserError, match="the conductor ended with 1"):
            up._wait(settings, lambda: 1, 9, progress, 0)
        with running_conductor.the_only_one(settings):
            up._wait(settings, lambda: 1, 9, progress, 0)


def test_ctrl_c_ends_the_waiting_and_says_so() -> None:
    with pytest.raises(UserError) as said, up.going_on_when_interrupted():
        raise KeyboardInterrupt
    assert said.value.code == 130 and "goes on starting" in said.value.message and "aerekos down" in said.value.hint


def test_it_says_when_nothing_starts_it_with_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load({}, home=tmp_path / "home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(autostart, "is_there", lambda: True)
    (line,) = up._starts_at_boot(settings)
    assert line.startswith("Starts at boot:") and "no (aerekos service install)" in line
    unit = autostart.unit_of(settings.home, root=False).file
    unit.parent.mkdir(parents=True)
    unit.write_text("[Unit]")
    assert up._starts_at_boot(settings) == []
    unit.unlink()
    monkeypatch.setattr(autostart, "is_there", lambda: False)
    assert up._starts_at_boot(settings) == [], "there is nothing to do about it"


def test_a_start_that_takes_too_long_says_where_the_first_login_is(tmp_path: Path) -> None:
    settings = load({}, home=tmp_path)
    up.prepare_home(settings)
    for written, said in ((False, False), (True, True)):
        if written:
            up._first_login(settings).write_text("{}")
        with pytest.raises(UserError, match="not ready after 0 s") as slow, Progress("x") as progress:
            up._wait(settings, lambda: None, 0, progress, 0)
        assert ("aerekos first-login" in slow.value.hint) is said and "it goes on starting" in slow.value.hint


def test_the_command_does_not_import_a_store() -> None:
    """It is a quarter of a second of each start, and only the conductor has one."""
    program = "import sys, cli.lifecycle.up; print('sqlalchemy' in sys.modules)"
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert said.stdout.strip() == "False"
