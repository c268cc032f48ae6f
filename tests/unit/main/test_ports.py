"""Who has the port, said by name."""

from __future__ import annotations

import json
import os
import re
import socket
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from controller.main.errors import UserError
from controller.main.ports import cloud_of, require_free_port
from controller.main.running_conductor import start_time
from controller.main.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Settings(tmp_path, host="127.0.0.1", port=int(probe.getsockname()[1]))


def test_the_program_is_named_and_another_port_that_is_free(settings: Settings) -> None:
    with closing(socket.create_server(("127.0.0.1", settings.port))), pytest.raises(UserError) as refused:
        require_free_port(settings)
    message, hint = refused.value.message, refused.value.hint
    assert f"port {settings.port}" in message and f"{psutil.Process().name()} (pid {os.getpid()}" in message
    [other] = re.findall(r"AEREKOS_PORT=(\d+) aerekos up", hint)
    require_free_port(replace(settings, port=int(other)))


def test_another_cloud_of_ones_own_is_called_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (settings.home / "run").mkdir()
    record = {"pid": os.getpid(), "startTime": start_time(os.getpid()), "port": settings.port}
    (settings.home / "run" / "conductor.json").write_text(json.dumps(record))
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _: ["python", "up", "--home", str(settings.home)])
    assert cloud_of(os.getpid()) == settings.home
    taken = closing(socket.create_server(("127.0.0.1", settings.port)))
    with taken, pytest.raises(UserError, match="another aerekos cloud of yours") as refused:
        require_free_port(settings)
    assert str(settings.home) in refused.value.message and f"AEREKOS_HOME={settings.home}" in refused.value.hint


def test_whoever_only_says_a_home_is_no_cloud_of_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _: ["python", "up", "--home", str(settings.home)])
    assert cloud_of(os.getpid()) is None


@pytest.mark.parametrize(
    ("host", "words"), [("192.0.2.1", "no address of this machine"), ("no-such-host.invalid", "is not known")]
)
def test_a_wrong_host_is_not_blamed_on_the_port(settings: Settings, host: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        require_free_port(replace(settings, host=host))
    assert "port" not in refused.value.message.lower() and ":: for every address" in refused.value.hint


def test_a_port_that_will_be_given_up_is_free_but_the_host_must_be_ours(settings: Settings) -> None:
    with closing(socket.create_server(("127.0.0.1", settings.port))):
        require_free_port(settings, besides=settings.port)
        with pytest.raises(UserError, match="no address of this machine"):
            require_free_port(replace(settings, host="192.0.2.1"), besides=settings.port)
