"""A home that is somebody else's, or no cloud's: it stays as it is, and the error says whose it is and what to do.

Rights are those of the machine: root takes the place of another user for as long as a command runs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.lifecycle.up import prepare_home
from cli.main import run as aerekos
from controller.main.errors import Misuse
from controller.main.home_folder import require_own
from controller.main.settings import load

NOBODY = 65534
Says = Callable[..., tuple[int, str]]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user reaches, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="aerekos-homes-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def nobody_says(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Says]:
    """What a command answers to the user `nobody`: its code, and what it writes to stderr."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "config"))
    monkeypatch.delenv("AEREKOS_HOME", raising=False)
    aerekos(["up", "--home", str(_with(tmp_path, "x"))])  # all modules are read while we may
    monkeypatch.setenv("AEREKOS_HOME", str(tmp_path / "none"))
    aerekos(["status"])

    def says(home: Path, *words: str) -> tuple[int, str]:
        monkeypatch.setenv("AEREKOS_HOME", str(home))
        capsys.readouterr()
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            code = aerekos([*words])
        finally:
            os.seteuid(0)
            os.setegid(0)
        return code, capsys.readouterr().err

    yield says


def _with(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text("")
    return folder


def a_home(folder: Path, owner: int) -> Path:
    """As a start leaves it, with a settings file and certificates."""
    home = folder / "home"
    folder.mkdir(parents=True, exist_ok=True)
    prepare_home(load({}, home=home))
    _with(home, "settings.toml", "tls/admin.crt", "tls/admin.key", "tls/ca.crt")
    for each in (folder, home, *home.rglob("*")):
        os.chown(each, owner, owner)
        each.chmod(0o600 if each.is_file() else 0o755 if each == folder else 0o700)
    return home


@as_root
@pytest.mark.parametrize("command", ["up", "down", "status", "doctor"])
def test_one_start_with_sudo_is_mended_by_one_line(place: Path, nobody_says: Says, command: str) -> None:
    home = a_home(place, 0)
    os.chown(place, NOBODY, NOBODY)
    code, said = nobody_says(home, command)
    assert code == 2 and f"{home} belongs to root, and you are nobody" in said
    assert f"try: sudo chown -R nobody {home}" in said


@as_root
def test_so_are_the_folders_around_it(place: Path, nobody_says: Says) -> None:
    home = a_home(place / "ada" / ".local", 0)
    os.chown(place / "ada", NOBODY, NOBODY)
    assert f"try: sudo chown -R nobody {place / 'ada' / '.local'} " in nobody_says(home, "status")[1]


@as_root
def test_so_is_a_part_that_is_roots(place: Path, nobody_says: Says) -> None:
    home = a_home(place, NOBODY)
    os.chown(home / "tls", 0, 0)
    code, said = nobody_says(home, "status")
    assert code == 2 and f"{home / 'tls'} belongs to root" in said and f"sudo chown -R nobody {home}" in said


@as_root
@pytest.mark.parametrize("command", ["up", "status"])
def test_a_folder_of_somebody_else_is_not_given_away(place: Path, nobody_says: Says, command: str) -> None:
    home = a_home(place / "theirs", 0)
    (place / "theirs").chmod(0o700)
    code, said = nobody_says(home, command)
    assert code == 2 and f"{place / 'theirs'} belongs to root, and you are nobody" in said
    assert "chown" not in said and "AEREKOS_HOME=... aerekos up" in said


@as_root
def test_where_nobody_may_make_one_another_folder_is_named(place: Path, nobody_says: Says) -> None:
    code, said = nobody_says(place / "new" / "home", "up")
    assert code == 2 and f"{place} belongs to root" in said and "AEREKOS_HOME=... aerekos up" in said
    assert not list(place.iterdir())


@as_root
def test_rights_that_one_took_from_oneself_are_given_back_by_chmod(place: Path, nobody_says: Says) -> None:
    home = a_home(place, NOBODY)
    home.chmod(0)
    code, said = nobody_says(home, "status")
    assert code == 2 and f"try: chmod -R u+rwX {home}" in said


@as_root
def test_root_does_not_start_the_cloud_of_somebody_else(place: Path) -> None:
    home = a_home(place, NOBODY)
    with pytest.raises(Misuse, match="belongs to nobody; what root starts there") as refused:
        prepare_home(load({}, home=home))
    assert f"sudo -u nobody aerekos up --home {home}" in refused.value.hint


@as_root
def test_nor_does_root_begin_one_in_the_folder_of_somebody_else(place: Path) -> None:
    (place / "ada").mkdir()
    os.chown(place / "ada", NOBODY, NOBODY)
    home = place / "ada" / ".local" / "share" / "aerekos"
    with pytest.raises(Misuse, match=f"{place / 'ada'} belongs to nobody; what root starts there") as refused:
        prepare_home(load({}, home=home))
    assert f"sudo -u nobody aerekos up --home {home}" in refused.value.hint
    assert not list((place / "ada").iterdir())
    prepare_home(load({}, home=place / "of" / "root"))


@as_root
def test_a_volume_of_no_account_is_taken_by_the_root_of_a_container(place: Path) -> None:
    os.chown(place, 4_000_010_001, -1)
    prepare_home(load({}, home=place))
    assert (place / "secrets").is_dir() and aerekos(["down", "--home", str(place)]) == 0


@pytest.mark.parametrize("name", ["notes.txt", ".git", "logs.tar", "secret"])
def test_a_folder_with_other_things_stays_as_it_is(tmp_path: Path, name: str) -> None:
    home = _with(tmp_path, name)
    (home / "run").mkdir()
    home.chmod(0o755)
    with pytest.raises(Misuse, match=f"no home of a cloud, and not empty: it holds {name}") as refused:
        prepare_home(load({}, home=home))
    assert home.stat().st_mode & 0o777 == 0o755 and {each.name for each in home.iterdir()} == {name, "run"}
    assert f"AEREKOS_HOME={home / 'aerekos'}" in refused.value.hint


@pytest.mark.parametrize("names", [[], ["lost+found"], ["settings.toml", "notes.txt"], ["secrets", "store", "mine"]])
def test_an_empty_folder_and_a_home_with_something_besides_are_taken(tmp_path: Path, names: list[str]) -> None:
    require_own(_with(tmp_path, *names))
    require_own(tmp_path / "not yet")
