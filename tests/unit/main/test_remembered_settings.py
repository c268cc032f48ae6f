"""settings.toml keeps what a cloud was told, and every line somebody wrote."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.main.errors import UserError
from controller.main.remembered_settings import edited, remember
from controller.main.settings import REMEMBERED, load

WRITTEN = """\
# my cloud
port = 8000   # since the move
log_level = "debug"

[[users]]
name = "ada"
roles = ["editor"]
port_of_call = "x"
"""


def test_the_next_start_is_told_nothing_and_is_the_same(tmp_path: Path) -> None:
    told = {"AEREKOS_PORT": "19645", "AEREKOS_HOST": "::", "AEREKOS_NAMES": "cloud.lan,10.0.0.5"}
    first = load({**told, "AEREKOS_RUNTIME": "process", "AEREKOS_CLOUD_NAME": 'the "attic"'}, home=tmp_path)
    assert set(remember(first)) == {"version", *REMEMBERED}
    again = load({}, home=tmp_path)
    for key in REMEMBERED:
        assert getattr(again, key) == getattr(first, key)
    assert remember(again) == []
    assert (tmp_path / "settings.toml").stat().st_mode & 0o777 == 0o600


def test_a_cloud_keeps_its_name_when_the_machine_is_called_otherwise(tmp_path: Path) -> None:
    remember(load({}, home=tmp_path))
    assert load({}, home=tmp_path).cloud_name == load({}, home=tmp_path).name != ""


def test_what_it_is_told_later_counts_from_then_on(tmp_path: Path) -> None:
    remember(load({"AEREKOS_PORT": "9000"}, home=tmp_path))
    assert remember(load({}, home=tmp_path, port=9001)) == ["port"]
    assert load({}, home=tmp_path).port == 9001


def test_lines_of_people_stay(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(WRITTEN.replace('port_of_call = "x"\n', ""))
    file.chmod(0o640)
    remember(load({"AEREKOS_HOST": "::"}, home=tmp_path))
    text = file.read_text()
    assert "# my cloud" in text and 'log_level = "debug"' in text and text.endswith('roles = ["editor"]\n')
    assert "port = 8000   # since the move" in text, "what is as it was is not written again"
    assert load({}, home=tmp_path).host == "::" and file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "text",
    ['names = [\n  "a.lan",\n]\n', 'note = """\nport = 1\n"""\n', "port = 1\nport = 2\n"],
)
def test_a_file_that_would_be_harmed_is_left_alone_and_the_lines_are_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    settings = load({"AEREKOS_NAMES": "b.lan", "AEREKOS_PORT": "9000"}, home=tmp_path / "elsewhere")
    object.__setattr__(settings, "home", tmp_path)
    with pytest.raises(UserError) as refused:
        remember(settings)
    assert file.read_text() == text
    assert "port = 9000" in refused.value.hint and 'names = ["b.lan"]' in refused.value.hint


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x7f"), max_size=20)


@given(
    st.fixed_dictionaries(
        {}, optional={"port": st.integers(1, 65535), "host": texts, "names": st.lists(texts, max_size=3)}
    ),
    st.sampled_from(["", WRITTEN, "# only words", 'host="x"\n[a]\nhost="y"\n', 'names = ["a"] # why\n']),
)
def test_whatever_is_set_is_read_back_and_nothing_else_changes(values: dict[str, object], text: str) -> None:
    assert tomllib.loads(edited(text, values)) == {**tomllib.loads(text), **values}
