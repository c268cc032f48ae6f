"""What a running cloud is told otherwise is done or refused with the line to do it, never ignored."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from cli.api_client import local_url
from cli.lifecycle import restart
from cli.lifecycle.restart import differences
from controller.main.errors import UserError
from controller.main.running_conductor import Running
from controller.main.settings import Settings, as_told, load


def running(settings: Settings) -> Running:
    return Running(1, 1, settings.port, as_told(settings))


def test_the_same_words_are_no_difference(tmp_path: Path) -> None:
    env = {"AEREKOS_PORT": "9000", "AEREKOS_NAMES": "a.lan", "AEREKOS_AUDIT_FILE": "/x", "AEREKOS_LOG_LEVEL": "debug"}
    assert differences(running(load(env, home=tmp_path)), load(env, home=tmp_path)) == []


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ({"AEREKOS_PORT": "9001"}, "port"),
        ({"AEREKOS_HOST": "::"}, "host"),
        ({"AEREKOS_RUNTIME": "swarm"}, "runtime"),
        ({"AEREKOS_NAMES": "cloud.lan"}, "names"),
        ({"AEREKOS_CLOUD_NAME": "attic"}, "cloud_name"),
        ({"AEREKOS_OIDC_ISSUER": "https://issuer"}, "oidc_issuer"),
        ({"AEREKOS_LOG_LEVEL": "debug"}, "log_level"),
    ],
)
def test_what_is_told_now_counts(tmp_path: Path, told: dict[str, str], key: str) -> None:
    [found] = differences(running(load({}, home=tmp_path)), load(told, home=tmp_path))
    assert found.key == key


def test_what_another_was_told_and_this_one_was_not_is_left_alone(tmp_path: Path) -> None:
    """A unit file gives its conductor variables that no shell has."""
    assert differences(running(load({"AEREKOS_LOG_LEVEL": "debug"}, home=tmp_path)), load({}, home=tmp_path)) == []


def test_a_line_somebody_changed_in_the_file_is_noticed(tmp_path: Path) -> None:
    before = running(load({}, home=tmp_path))
    (tmp_path / "settings.toml").write_text("port = 9002")
    [found] = differences(before, load({}, home=tmp_path))
    assert (found.key, found.told) == ("port", 9002)


def test_one_that_wrote_only_its_port_is_compared_by_that(tmp_path: Path) -> None:
    settings = load({"AEREKOS_HOST": "::", "AEREKOS_PORT": "9000"}, home=tmp_path)
    assert [each.key for each in differences(Running(1, 1, 7443), settings)] == ["port"]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::1", "https://[::1]:9000"),
        ("::", "https://127.0.0.1:9000"),
        ("localhost", "https://127.0.0.1:9000"),
        ("10.0.0.5", "https://10.0.0.5:9000"),
    ],
)
def test_the_command_line_goes_where_it_listens(tmp_path: Path, host: str, url: str) -> None:
    """Not where this shell's variables say: those may be of another cloud, or of none."""
    (tmp_path / "run").mkdir()
    record = {"pid": 1, "startTime": 1, "port": 9000, "told": {"host": host}}
    (tmp_path / "run" / "conductor.json").write_text(json.dumps(record))
    assert local_url(load({"AEREKOS_HOST": "192.0.2.1", "AEREKOS_PORT": "1"}, home=tmp_path)) == url


def test_without_agreement_nothing_is_stopped_and_the_line_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"AEREKOS_CLOUD_NAME": "the attic", "AEREKOS_HOST": "127.0.0.1"}
    settings, found = load(told, home=tmp_path / "a b"), running(load({}, home=tmp_path / "a b"))
    monkeypatch.setattr(restart.down, "down", lambda *_, **__: pytest.fail("nobody agreed"))
    with pytest.raises(UserError, match="localhost as host, not 127") as refused:
        restart.restart(settings, found, differences(found, settings), timeout=1, agreed=False)
    line = shlex.split(refused.value.hint.partition(": ")[2].partition("   or ")[0])
    assert "AEREKOS_CLOUD_NAME=the attic" in line and line[-4:] == [
        "up",
        "--home",
        str(tmp_path / "a b"),
        "--restart",
    ]
    assert dict(each.split("=", 1) for each in line[:2]) == told


def test_a_start_that_fails_leaves_it_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Settings] = []

    def begin(settings: Settings, timeout: float) -> None:
        begun.append(settings)
        if settings.runtime == "swarm":
            raise UserError("no Docker daemon answers", hint="start it")

    monkeypatch.setattr("cli.lifecycle.up.begin", begin)
    monkeypatch.setattr(restart.down, "down", lambda *_, **__: None)
    before = load({"AEREKOS_NAMES": "a.lan", "AEREKOS_HOST": "127.0.0.1"}, home=tmp_path)
    told = {"AEREKOS_RUNTIME": "swarm", "AEREKOS_NAMES": "b.lan", "AEREKOS_HOST": "127.0.0.1"}
    settings, found = load(told, home=tmp_path), running(before)
    with pytest.raises(UserError, match="no Docker daemon answers\nIt runs again as before"):
        restart.restart(settings, found, differences(found, settings), timeout=1, agreed=True)
    assert [(each.runtime, each.names) for each in begun] == [("swarm", ("b.lan",)), ("auto", ("a.lan",))]
