"""What the agent is told at its start: every option has a variable, and nonsense is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.main import settings


def test_without_docker_it_is_the_agent_it_always_was(tmp_path: Path) -> None:
    made = settings(["--api", "https://a:7443, https://b:7443", "--home", str(tmp_path)], {})
    assert made.api == ("https://a:7443", "https://b:7443")
    assert (made.docker, made.join_token, made.pin) == (None, "", None)


def test_variables_are_options_and_options_win(tmp_path: Path) -> None:
    env = {
        "AEREKOS_AGENT_DOCKER": "unix:///var/run/docker.sock",
        "AEREKOS_AGENT_IMAGE_DOOR": "",
        "AEREKOS_AGENT_API_PORT": "8443",
        "AEREKOS_AGENT_ANNOUNCE_PORT": "9446",
        "AEREKOS_AGENT_MESH_PORT": "9448",
        "AEREKOS_AGENT_MESH_PEERS": "tasks.other",
        "AEREKOS_AGENT_LABELS": "zone=a,disk=",
    }
    made = settings(["--mesh-port", "9449"], env)
    assert (made.docker, made.image_door, made.api_port) == ("unix:///var/run/docker.sock", "", 8443)
    assert (made.announce_port, made.mesh_port, made.mesh_peers) == (9446, 9449, "tasks.other")
    assert made.labels == {"zone": "a", "disk": ""}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "AEREKOS_AGENT_API"),
        (["--api", "https://a", "--api-port", "0"], "--api-port"),
        (["--api", "https://a", "--announce-port", "65536"], "--announce-port"),
        (["--api", "https://a", "--mesh-port", "x"], "--mesh-port"),
        (["--api", "https://a", "--image-door", "127.0.0.1"], "--image-door"),
        (["--api", "https://a", "--log-level", "loud"], "--log-level"),
    ],
)
def test_nonsense_is_misuse(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings(arguments, {})
    assert ended.value.code == 2 and named in capsys.readouterr().err


def test_a_token_file_is_read_when_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    made = settings(["--api", "https://a", "--token-file", str(file)], {})
    with pytest.raises(FileNotFoundError):
        _ = made.join_token
    file.write_text("agents.secret\n")
    assert (made.join_token, made.pin) == ("agents.secret", None)
    file.write_text(f"t.secret.{'AB' * 32}")
    assert made.pin == "ab" * 32
