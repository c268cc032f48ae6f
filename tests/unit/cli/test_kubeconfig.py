"""What kubectl is given: a certificate, a token, or the command that gets one."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.api_client import ApiClient
from cli.login.contexts import Context
from cli.login.kubeconfig import NEWER, OLDER, credential, kubeconfig
from controller.main.errors import UserError
from controller.main.settings import Settings

SERVER = "https://cloud.test"


def api_of(context: Context | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ApiClient:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def answer(request: httpx.Request) -> httpx.Response:
        pair = {"accessToken": "fresh", "refreshToken": "next", "expiresIn": 900}
        return httpx.Response(200, json=pair if request.url.path == "/auth/refresh" else {})

    return ApiClient(httpx.Client(base_url=SERVER, transport=httpx.MockTransport(answer)), SERVER, context)


def login(*, left: float) -> Context:
    return Context(SERVER, "jane", "kept", "refresh", time.time() + left, "PEM")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(tmp_path)
    found.tls.mkdir()
    for name in ("ca.crt", "admin.crt", "admin.key"):
        (found.tls / name).write_text(f"of {name}")
    return found


def user_of(config: dict[str, Any]) -> dict[str, Any]:
    return dict(config["users"][0]["user"])


def test_a_login_is_a_command_and_no_token(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEREKOS_HOME", "/somewhere")
    config = kubeconfig(api_of(login(left=600), tmp_path, monkeypatch), settings)
    run = user_of(config)["exec"]
    assert run["args"][-3:] == ["credential", "--server", SERVER] and run["apiVersion"] == OLDER
    assert {"name": "AEREKOS_HOME", "value": "/somewhere"} in run["env"]
    assert "kept" not in json.dumps(config) and "refresh" not in json.dumps(config)


def test_the_local_admin_is_a_certificate(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = user_of(kubeconfig(api_of(None, tmp_path, monkeypatch), settings))
    assert set(user) == {"client-certificate-data", "client-key-data"}


@pytest.mark.parametrize(("by_command", "keys"), [(True, {"exec"}), (False, {"token"})])
def test_either_can_be_asked_for(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_command: bool, keys: set[str]
) -> None:
    api = api_of(login(left=600), tmp_path, monkeypatch)
    assert set(user_of(kubeconfig(api, settings, by_command=by_command))) == keys


def test_a_credential_is_renewed_when_it_is_about_to_end(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = credential(api_of(login(left=600), tmp_path, monkeypatch), settings, SERVER, {})
    assert kept["status"]["token"] == "kept"
    told = credential(api_of(login(left=5), tmp_path, monkeypatch), settings, SERVER, {})
    assert told["status"]["token"] == "fresh"
    assert told["status"]["expirationTimestamp"] > kept["status"]["expirationTimestamp"]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (json.dumps({"apiVersion": NEWER}), NEWER),
        (json.dumps({"apiVersion": OLDER}), OLDER),
        (json.dumps({"apiVersion": "client.authentication.k8s.io/v7"}), OLDER),
        ("[]", OLDER),
        ("{half", OLDER),
    ],
)
def test_it_answers_in_the_version_that_was_asked(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, answered: str
) -> None:
    api = api_of(login(left=600), tmp_path, monkeypatch)
    assert credential(api, settings, None, {"KUBERNETES_EXEC_INFO": asked})["apiVersion"] == answered


def test_what_proves_me_here_is_not_given_to_another_cloud(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"https://cloud\.test, not to https://other\.test"):
        credential(api_of(login(left=600), tmp_path, monkeypatch), settings, "https://other.test", {})
