"""`aerekos doctor --security` finds what is wrong with a cloud, says why and how to mend it, and errs on no side."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clouds import Cloud, a_port

from cli.security.cloud import Seen, check_cloud
from cli.security.files import check_files
from cli.security.finding import Finding, as_document, lines, worst
from cli.security.host import check_host
from cli.security.listeners import _plain, _speaks_tls
from controller.kit import generations
from controller.main.running_conductor import running
from controller.main.settings import Settings
from controller.store.sealing import Sealing

DOCS = Path(__file__).parents[2] / "docs" / "hardening.md"
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def of(findings: list[Finding], check: str) -> list[str]:
    return [each.severity for each in findings if each.check == check]


def home(tmp_path: Path) -> Settings:
    for name in ("secrets/jwt", "store", "tls", "run", "logs"):
        (tmp_path / name).mkdir(parents=True)
    for folder in ("secrets", "store", "tls", "run", "logs"):
        (tmp_path / folder).chmod(0o700)
    (tmp_path / "secrets" / "root-key").write_bytes(b"k" * 32)
    (tmp_path / "store" / "records.db").touch()
    return Settings(tmp_path)


# files


def test_a_closed_home_is_well(tmp_path: Path) -> None:
    found = list(check_files(home(tmp_path)))
    assert worst(found) == "ok", found


@pytest.mark.parametrize("folder", ["store", "secrets", "tls", "logs"])
def test_a_file_that_others_can_read_is_found(tmp_path: Path, folder: str) -> None:
    settings = home(tmp_path)
    (tmp_path / folder).chmod(0o755)
    file = tmp_path / folder / "records.db"
    file.touch()
    file.chmod(0o644)
    (finding,) = [each for each in check_files(settings) if each.check == "file-modes"]
    assert finding.severity == "high" and str(file) in finding.what and finding.fix


def test_short_and_linked_keys_are_found(tmp_path: Path) -> None:
    settings = home(tmp_path)
    (tmp_path / "secrets" / "root-key").write_bytes(b"short")
    assert of(list(check_files(settings)), "key-files") == ["high"]


def test_an_unread_one_time_password_is_found(tmp_path: Path) -> None:
    settings = home(tmp_path)
    (tmp_path / "run" / "first-login.json").write_text("{}")
    assert of(list(check_files(settings)), "one-time-password") == ["medium"]


def test_an_old_token_key_is_found(tmp_path: Path) -> None:
    settings = home(tmp_path)
    pem = tmp_path / "secrets" / "jwt" / "a.pem"
    pem.touch()
    assert of(list(check_files(settings)), "signing-key-age") == ["ok"]
    assert of(list(check_files(settings, datetime.now(UTC) + timedelta(days=91))), "signing-key-age") == ["low"]


@pytest.mark.parametrize(("name", "what"), [("root-key", "root"), ("master-key", "master"), ("store-key", "store")])
def test_an_old_key_is_found_whatever_the_time_of_its_file(tmp_path: Path, name: str, what: str) -> None:
    settings = home(tmp_path)
    (tmp_path / "secrets" / "root-key").unlink()
    file = tmp_path / "secrets" / name
    if name == "store-key":
        Sealing(file, ()).keep()
    else:
        generations.keep(file, datetime.now(UTC))
    later = datetime.now(UTC) + timedelta(days=366)
    assert of(list(check_files(settings)), "key-age") == ["ok"]
    os.utime(file, (later.timestamp(), later.timestamp()))
    (finding,) = [each for each in check_files(settings, later) if each.check == "key-age"]
    assert finding.severity == "low" and finding.fix == f"aerekos keys rotate --what {what}"
    assert of(list(check_files(settings, later)), "key-files") == ["ok"], "a file of generations is a whole key"


def test_a_settings_file_with_a_password_must_be_closed(tmp_path: Path) -> None:
    settings = home(tmp_path)
    file = tmp_path / "settings.toml"
    file.write_text('admin_password = "hunter2-hunter2"\n')
    file.chmod(0o644)
    assert of(list(check_files(settings)), "settings-file") == ["high"]


def test_a_changed_audit_log_is_found(tmp_path: Path) -> None:
    settings = home(tmp_path)
    (tmp_path / "secrets" / "audit-key").write_bytes(b"k" * 32)
    (tmp_path / "logs" / "audit.log").write_bytes(b'{"a":1,"seq":1,"chain":"00000000000000000000000000000000"}\n')
    assert of(list(check_host(settings)), "audit-seals") == ["high"]


def test_an_audit_log_that_lets_changes_go_on_is_found(tmp_path: Path) -> None:
    settings = Settings(home(tmp_path).home, audit_failure="continue")
    assert of(list(check_host(settings)), "audit-failure") == ["medium"]


# the cloud


def item(name: str, namespace: str = "", status: Any = None, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"metadata": meta, "spec": more, "status": status or {}}


def seen(**items: list[dict[str, Any]]) -> Seen:
    return Seen(items=items, ready={"ready": True}, now=NOW)


def labelled(name: str, profile: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": profile}}, "spec": {}}


def key(made: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "k", "creationTimestamp": made},
        "spec": {"accessKeyId": "AKIA", "user": "ada", **spec},
    }


def condition(kind: str, status: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "message": "no Landlock"}]}


@pytest.mark.parametrize(
    ("found", "check", "severity"),
    [
        (seen(users=[item("ada", roles=["admin"])], credentials=[item("ada")]), "second-factor", "medium"),
        (seen(users=[item("vera", roles=["viewer"])], credentials=[item("vera")]), "second-factor", "low"),
        (
            seen(users=[item("ada", roles=["admin"])], credentials=[item("ada", totp={"confirmed": True})]),
            "second-factor",
            "ok",
        ),
        (seen(users=[item("ada", roles=["admin"], disabled=True)], credentials=[]), "second-factor", "ok"),
        (seen(credentials=[item("ada", oneTime=True)]), "one-time-password", "medium"),
        (seen(jointokens=[item("a", expiresAt="2036-01-01T00:00:00Z", uses=1)]), "join-tokens", "medium"),
        (seen(jointokens=[item("a", expiresAt="2026-05-02T00:00:00Z", uses=0)]), "join-tokens", "medium"),
        (seen(jointokens=[item("a", expiresAt="2026-05-02T00:00:00Z", uses=1)]), "join-tokens", "ok"),
        (seen(jointokens=[item("a", expiresAt="2020-05-02T00:00:00Z", uses=0)]), "join-tokens", "ok"),
        (seen(services=[item("web", "shop", image="nginx:1")]), "image-digests", "low"),
        (seen(services=[item("web", "shop", image="nginx@sha256:" + "a" * 64)]), "image-digests", "ok"),
        (seen(services=[item("web", "shop", image="nginx:1")]), "memory-limits", "low"),
        (seen(services=[item("web", "shop", command=["python3"])]), "memory-limits", "low"),
        (seen(services=[item("web", "shop", env={"DB_PASSWORD": "x"})]), "secrets-in-env", "medium"),
        (seen(services=[item("web", "shop", env={"MODE": "x"})]), "secrets-in-env", "ok"),
        (seen(namespaces=[item("shop")]), "quotas", "low"),
        (seen(namespaces=[item("shop")], resourcequotas=[item("q", "shop")]), "quotas", "ok"),
        (seen(services=[item("k", "default", condition("Isolated", "False"), managed="k")]), "isolation", "medium"),
        (seen(services=[item("k", "default", condition("Isolated", "True"), managed="k")]), "isolation", "ok"),
        (seen(services=[item("p", "shop", condition("Isolated", "False"), command=["x"])]), "isolation", "medium"),
        (seen(workers=[item("a", status=condition("OverlayEncrypted", "False"))]), "overlay", "high"),
        (seen(namespaces=[labelled("loose", "privileged")]), "pod-security", "medium"),
        (seen(namespaces=[labelled("tight", "restricted")]), "pod-security", "ok"),
        (seen(accesskeys=[key("2026-01-01T00:00:00Z")]), "access-keys", "low"),
        (seen(accesskeys=[key("2026-04-01T00:00:00Z")]), "access-keys", "ok"),
        (seen(accesskeys=[key("2026-01-01T00:00:00Z", state="Deleted")]), "access-keys", "ok"),
        (Seen(ready={"ready": True, "audit": ["the audit log cannot be written"]}), "audit-health", "high"),
    ],
)
def test_each_check_of_the_cloud(found: Seen, check: str, severity: str) -> None:
    assert severity in of(list(check_cloud(found)), check)


def test_bindings_to_everybody_and_roles_for_everything_are_found() -> None:
    binding = {
        **item("all"),
        "roleRef": {"name": "view"},
        "subjects": [{"kind": "Group", "name": "system:authenticated"}],
    }
    role = {**item("mighty"), "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}
    found = list(check_cloud(seen(clusterrolebindings=[binding], clusterroles=[role])))
    assert of(found, "wide-bindings") == ["high"] and of(found, "wide-roles") == ["medium"]


def test_whoever_may_do_everything_is_listed() -> None:
    binding = {**item("ops"), "roleRef": {"name": "cluster-admin"}, "subjects": [{"kind": "User", "name": "bo"}]}
    found = list(check_cloud(seen(users=[item("ada", roles=["admin"])], clusterrolebindings=[binding])))
    (told,) = [each.what for each in found if each.check == "cluster-admins"]
    assert "ada" in told and "User bo (by ops)" in told


# listeners


def test_a_port_without_tls_is_told_from_one_with() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        assert not _speaks_tls("127.0.0.1", plain.getsockname()[1])
    assert [each.severity for each in _plain([("10.0.0.1", 80)], [("10.0.0.1", 80)])] == ["high"]
    assert [each.severity for each in _plain([], [("127.0.0.1", 80)])] == ["low"]


# how it is told


def test_every_finding_that_is_wrong_says_why_and_what_to_do(tmp_path: Path) -> None:
    bad = [Finding("high", "a", "b", "c", "d"), Finding("ok", "x", "y")]
    told = list(lines(bad))
    assert told[0].startswith("high") and "why: c" in told[1]
    assert as_document(bad)["worst"] == "high"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    started = Cloud(tmp_path_factory.mktemp("examined") / "home", a_port())
    said = started.command("up", "--timeout", "200", timeout=240)
    assert said.code == 0, said
    yield started
    started.command("down")
    shutil.rmtree(started.home, ignore_errors=True)


def test_a_running_cloud_is_examined_and_what_was_opened_is_found(cloud: Cloud) -> None:
    said = cloud.command("doctor", "--security", "-o", "json")
    document = json.loads(said.out)
    found = {each["check"]: each["severity"] for each in document["findings"]}
    for check in ("file-modes", "plain-listeners", "audit-health", "audit-seals", "second-factor", "cluster-admins"):
        assert check in found, document
    assert all(each["why"] and each["fix"] for each in document["findings"] if each["severity"] in ("low", "high"))
    assert running(Settings(cloud.home)) is not None
    store = cloud.home / "store"
    file = next(store.iterdir())
    store.chmod(0o755)
    file.chmod(0o644)
    said = cloud.command("doctor", "--security")
    store.chmod(0o700)
    file.chmod(0o600)
    assert said.code == 1 and "file-modes" in said.out.splitlines()[0]


def test_exit_codes_follow_what_is_asked(cloud: Cloud) -> None:
    cloud.home.joinpath("run", "first-login.json").write_text('{"username": "admin", "password": "x"}')
    assert cloud.command("doctor", "--security", "--fail-on", "medium").code == 1
    assert cloud.command("doctor", "--security", "--fail-on", "sometimes").code == 2
