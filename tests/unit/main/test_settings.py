"""A wrong setting is named: where it is, which one, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.main.errors import Misuse
from controller.main.settings import default_home, load


def test_defaults_need_no_file(tmp_path: Path) -> None:
    settings = load({}, home=tmp_path)
    assert (settings.host, settings.port, settings.runtime) == ("localhost", 7443, "auto")
    assert settings.url == "https://127.0.0.1:7443"
    assert [user.name for user in settings.users] == ["admin"]


def test_arguments_win_over_environment_over_file(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('port = 1\nhost = "0.0.0.0"\nlog_level = "debug"')
    settings = load({"AEREKOS_PORT": "2", "AEREKOS_LOG_LEVEL": "error"}, home=tmp_path, port=3)
    assert (settings.port, settings.log_level, settings.host) == (3, "error", "0.0.0.0")
    assert settings.url == "https://127.0.0.1:3"


def test_a_collector_is_named_with_or_without_a_path(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:4318", "https://collector.lan/otlp", "http://[::1]:4318/v1/traces"):
        assert load({"AEREKOS_OTLP_ENDPOINT": url}, home=tmp_path).otlp_endpoint == url


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("port = ", "not valid TOML"),
        ("prot = 1", "prot: unknown setting"),
        ('port = "7443"', "port: must be a port"),
        ("port = 70000", "port: must be a port"),
        ("port = true", "port: must be a port"),
        ('runtime = "podman"', "runtime: 'podman'"),
        ("version = 2", "version 2 is not known"),
        ('host = "https://x"', "host: https://x is a URL"),
        ('host = "0.0.0.0:80"', "host: 0.0.0.0:80 holds a port"),
        ('host = "*"', "host: * is no host"),
        ('names = ["*.lan"]', "names: '*.lan'"),
        ('cloud_name = "a\\u0007b"', "cloud_name: cannot be"),
        ("retention_hours = -1", "retention_hours: must be"),
        ('otlp_endpoint = "localhost:4318"', "otlp_endpoint: must be the URL"),
        ('otlp_endpoint = "http://me:secret@collector"', "otlp_endpoint: must be the URL"),
        ('otlp_endpoint = "http://[x"', "otlp_endpoint: must be the URL"),
        ('otlp_endpoint = "https://collector:99999"', "otlp_endpoint: must be the URL"),
        ("content_port = 70000", "content_port: must be a port"),
        ("content_port = true", "content_port: must be a port"),
        ("gateway_requests_per_principal = 0", "gateway_requests_per_principal: must be a number"),
        ("users = []", "users: must be a list"),
        ('[[users]]\nname = "a"\nroles = ["king"]', "users[0].roles"),
        ('[[users]]\nroles = ["admin"]', "users[0].name: is missing"),
        ('[[users]]\nname = "a"\npasword = "x"', "users[0].pasword: unknown setting"),
    ],
)
def test_a_wrong_file_is_named_with_its_fix(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(Misuse) as caught:
        load({}, home=tmp_path)
    assert str(file) in caught.value.message
    assert named in caught.value.message
    assert caught.value.hint
    assert caught.value.code == 2


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="AEREKOS_PORT"):
        load({"AEREKOS_PORT": "https"}, home=tmp_path)


def test_the_home_follows_the_platform() -> None:
    assert default_home({"XDG_DATA_HOME": "/x"}) == Path("/x/aerekos")


def test_passwords_are_not_printed(tmp_path: Path) -> None:
    assert "hunter2" not in repr(load({"AEREKOS_ADMIN_PASSWORD": "hunter2"}, home=tmp_path))


def test_objects_have_another_port_or_none(tmp_path: Path) -> None:
    assert load({"AEREKOS_CONTENT_PORT": "7445"}, home=tmp_path).content_port == 7445
    assert load({"AEREKOS_CONTENT_PORT": "0"}, home=tmp_path).content_port == 0
    with pytest.raises(Misuse, match="8443 is the port of everything else"):
        load({"AEREKOS_CONTENT_PORT": "8443"}, home=tmp_path, port=8443)
