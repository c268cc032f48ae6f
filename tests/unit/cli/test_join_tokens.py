"""The line for the machine that joins names an address that machine can reach, or says that there is none."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import httpx
import pytest

from cli.api_client import ApiClient
from cli.login import join_tokens
from controller.main.settings import Settings


def reached(server: str, host: str, monkeypatch: pytest.MonkeyPatch, *own: str) -> tuple[str, str]:
    monkeypatch.setattr(join_tokens, "own_addresses", lambda: list(own))
    settings = Settings(home=Path("home"), host=host)
    return join_tokens.reached_at(ApiClient(cast(httpx.Client, None), server), settings)


def test_one_that_only_this_machine_reaches_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    for server in ("https://127.0.0.1:7443", "https://localhost:7443", "https://[::1]:7443"):
        address, warning = reached(server, "localhost", monkeypatch, "10.0.0.5")
        assert address == server and "aerekos up --restart --host ::" in warning


@pytest.mark.parametrize("host", ["::", "0.0.0.0"])
def test_one_that_listens_everywhere_is_named_by_its_own_address(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = reached("https://127.0.0.1:7443", host, monkeypatch, "127.0.0.1", "10.0.0.5")
    assert found == ("https://10.0.0.5:7443", "")
    assert reached("https://127.0.0.1:7443", host, monkeypatch, "fd00::2") == ("https://[fd00::2]:7443", "")
    assert reached("https://127.0.0.1:7443", host, monkeypatch)[1]  # a machine without a network


def test_one_that_others_reach_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for server in ("https://cloud.lan:7443", "https://10.0.0.5:7443"):
        assert reached(server, "localhost", monkeypatch) == (server, "")


def test_the_line_says_how_to_get_the_agent_and_gives_the_token_by_the_environment() -> None:
    line = join_tokens.join_line({"swarm": False}, "https://10.0.0.5:7443", "name.secret.pin")
    assert "pip install" in line.splitlines()[0]
    assert line.splitlines()[1].strip().startswith("AEREKOS_AGENT_TOKEN=name.secret.pin ")
    assert "secret" not in line.rpartition("aerekos-agent")[2]
