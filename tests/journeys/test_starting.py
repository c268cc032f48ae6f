"""Starting and stopping: side by side, twice, on a bad port, in a bad folder, with bad settings."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from clouds import REPOSITORY, Cloud

from api.tls import CertificateAuthority

NewCloud = Callable[..., Cloud]
# 120 characters, and whatever a shell, a URL or a unit file would make something else of.
ODD = "my clöuds & $HOME 100% 日本 'x' " + "x" * 89


def test_up_tells_the_url_the_login_and_what_runs(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    said = cloud.do("up")
    assert f"https://127.0.0.1:{cloud.port}" in said
    login = next(line for line in said.splitlines() if line.startswith("Login"))
    user, _, password = login.partition(":")[2].split()
    assert user == "admin" and len(password) > 12
    seen = json.loads(cloud.do("status", "-o", "json"))
    assert seen["ready"] is True
    (worker,) = seen["workers"]
    assert worker["ready"] and all(worker[part]["total"] > 0 for part in ("cpu", "memory", "disk"))
    assert {"key-manager", "storage-manager"} <= {each["name"] for each in seen["services"] if each["isReady"]}
    cloud.do("down")
    assert cloud.command("status").code == 3
    again = cloud.do("up")
    assert "Login" not in again, "the password is said once"


def test_two_clouds_live_side_by_side(new_cloud: NewCloud) -> None:
    one, two = new_cloud(ODD), new_cloud()
    one.do("up")
    two.do("up")
    one.kms("create-key")
    assert len(one.kms("list-keys")["Keys"]) == 1 and two.kms("list-keys")["Keys"] == []
    stranger = two.aws("kms", "list-keys", AWS_ACCESS_KEY_ID=one.aws_env()["AWS_ACCESS_KEY_ID"])
    assert stranger.code != 0
    one.do("down")
    assert json.loads(two.do("status", "-o", "json"))["ready"]


def test_up_twice_is_the_same_cloud_and_a_second_conductor_is_refused(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    cloud.do("up")
    pid = cloud.conductor_pid()
    assert "already running" in cloud.do("up")
    refused = cloud.command("up", "--foreground")
    assert refused.code == 1 and f"pid {pid}" in refused.err
    assert cloud.conductor_pid() == pid


def test_what_it_is_told_is_remembered_and_never_ignored(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    cloud.do("up")
    pid, other = cloud.conductor_pid(), new_cloud()
    refused = cloud.command("up", AEREKOS_PORT=str(other.port))
    assert refused.code == 1 and f"{cloud.port} as port, not {other.port}" in refused.err
    assert "--restart" in refused.err and cloud.conductor_pid() == pid
    neighbour = other.command("up", AEREKOS_PORT=str(cloud.port))
    assert neighbour.code == 1 and f"another aerekos cloud of yours: {cloud.home} (pid {pid})" in neighbour.err
    moved = cloud.command("up", "--port", str(other.port), "--restart", AEREKOS_HOST="::", AEREKOS_CLOUD_NAME="attic")
    assert moved.code == 0 and f"https://127.0.0.1:{other.port}" in moved.out, moved
    cloud.do("down")
    told_nothing = {"AEREKOS_PORT": "", "AEREKOS_HOST": ""}
    away = cloud.command("status", **told_nothing)
    assert away.code == 3 and f":{other.port}" in away.err, "also while it is down"
    assert cloud.command("up", **told_nothing).code == 0
    seen = json.loads(cloud.command("status", "-o", "json", **told_nothing).out)
    assert (seen["name"], seen["url"], seen["ready"]) == ("attic", f"https://127.0.0.1:{other.port}", True)
    trust = ssl.create_default_context(cafile=str(cloud.home / "tls" / "ca.crt"))
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, other.port)) as plain:
            trust.wrap_socket(plain, server_hostname=address).close()


def test_a_clock_that_was_ahead_when_the_cloud_was_founded(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    cloud.home.mkdir(mode=0o700, exist_ok=True)
    CertificateAuthority(cloud.home / "tls", now=datetime.now(UTC) + timedelta(days=3)).server(["localhost"])
    refused = cloud.command("up")
    assert refused.code == 1 and "valid only from" in refused.err and "aerekos ca renew" in refused.err
    assert "CA fingerprint" in cloud.do("ca", "renew")
    assert "valid: nothing was changed" in cloud.do("ca", "renew")


def test_a_wrong_host_is_said_to_be_wrong(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    for host, words in {"192.0.2.77": "is no address of this machine", "https://x": "is a URL"}.items():
        refused = cloud.command("up", AEREKOS_HOST=host)
        assert refused.code != 0 and words in refused.err and "take another" not in refused.err
    assert cloud.processes() == []


def test_a_taken_port_is_named_with_another_to_take(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", cloud.port))
        taken.listen()
        refused = cloud.command("up")
    assert refused.code == 1
    assert f"port {cloud.port}" in refused.err and "AEREKOS_PORT=" in refused.err
    assert f"pid {os.getpid()}" in refused.err
    assert cloud.processes() == []


def test_a_home_that_cannot_be_written_is_named(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    cloud.home.write_text("this is a file")
    refused = cloud.command("up")
    assert refused.code != 0 and str(cloud.home) in refused.err and "AEREKOS_HOME" in refused.err
    cloud.home.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody who may not write")
def test_a_folder_of_somebody_else_is_named(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    refused = cloud.command("up", AEREKOS_HOME="/proc/aerekos")
    assert refused.code == 1 and "/proc/aerekos" in refused.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("port = ", ["settings.toml", "TOML"]),
        ('port = "high"', ["settings.toml", "port", "1 to 65535"]),
        ('color = "gold"', ["settings.toml", "color", "unknown"]),
        ('[[users]]\nname = "ada"\nroles = ["queen"]', ["users[0].roles", "viewer"]),
    ],
)
def test_settings_that_cannot_be_meant_are_named(new_cloud: NewCloud, text: str, words: list[str]) -> None:
    cloud = new_cloud()
    cloud.home.mkdir()
    (cloud.home / "settings.toml").write_text(text)
    refused = cloud.command("up", **({} if "port" not in text else {"AEREKOS_PORT": ""}))
    assert refused.code == 2
    for word in words:
        assert word in refused.err
    assert not (cloud.home / "store").exists()


def test_a_store_that_is_no_store_is_named_and_left_alone(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    (cloud.home / "store").mkdir(parents=True)
    file = cloud.home / "store" / "records.db"
    file.write_bytes(b"not a database" * 1000)
    refused = cloud.command("up")
    assert refused.code == 1 and f"error: cannot open {file}: file is not a database" in refused.err
    assert "Traceback" not in refused.err and "backup" in refused.err
    assert file.read_bytes() == b"not a database" * 1000
    assert cloud.processes() == []


def test_a_cloud_without_its_records_is_not_founded_by_half(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    cloud.do("up")
    cloud.do("down")
    for file in (cloud.home / "store").iterdir():
        file.unlink()
    refused = cloud.command("up")
    assert refused.code == 1 and "is empty, but this cloud has been at work before" in refused.err
    assert f"rm {cloud.home / 'run' / 'founded'}" in refused.err
    assert cloud.processes() == []


@pytest.mark.parametrize("name", ["secrets/master-key", "secrets/root-key", "secrets/store-key", "tls/ca.key"])
def test_a_secret_that_was_cut_off_is_named_not_used(new_cloud: NewCloud, name: str) -> None:
    cloud = new_cloud()
    (cloud.home / name).parent.mkdir(parents=True)
    (cloud.home / name).write_bytes(b"")
    if name.startswith("tls"):
        (cloud.home / "tls" / "ca.crt").write_bytes(b"")
    refused = cloud.command("up")
    assert refused.code == 1 and str(cloud.home / name).replace("ca.key", "ca.crt") in refused.err
    assert "Traceback" not in refused.err and "backup" in refused.err
    assert (cloud.home / name).read_bytes() == b""


def test_interrupted_while_it_waits_it_says_so_and_can_go_on(new_cloud: NewCloud) -> None:
    cloud = new_cloud()
    command = [sys.executable, "-m", "cli.main", "up"]
    # What began in the background of a shell does not hear Ctrl-C, nor do its children, unless they are told to.
    hear = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    asked = {"env": cloud.env, "cwd": REPOSITORY, "stderr": subprocess.PIPE, "text": True, "preexec_fn": hear}
    with subprocess.Popen(command, **asked) as waiting:  # type: ignore[call-overload]
        assert waiting.stderr is not None and "starting the conductor" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        said = waiting.stderr.read()
    assert waiting.returncode == 130 and "the cloud goes on starting" in said and "aerekos down stops it" in said
    told = cloud.do("up")
    assert f"https://127.0.0.1:{cloud.port}" in told and "Login (shown once)" in told, "nothing was lost"
    assert json.loads(cloud.do("status", "-o", "json"))["ready"]
