"""The kubeconfig that Kubernetes clients need to speak to this cloud: `aerekos kubeconfig`.

Whoever has logged in gets a kubeconfig that holds no token, but the command that has a fresh one each time
(`aerekos credential`, client.authentication.k8s.io ExecCredential). The local admin's certificate is simply in it.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.api_client import ApiClient
from cli.login import contexts
from cli.login.contexts import Context
from controller.main.errors import UserError
from controller.main.settings import Settings

NEWER, OLDER = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"
_ASKED = "KUBERNETES_EXEC_INFO"
# What decides which login counts; written down even when it is not set, for later it might be.
_PLACE = ("AEREKOS_HOME", "XDG_CONFIG_HOME")


def kubeconfig(api: ApiClient, settings: Settings, *, by_command: bool | None = None) -> dict[str, Any]:
    """A whole kubeconfig with one context, `aerekos`. `by_command`: None means for logins only.

    Without a command it holds a secret: keep it to yourself.
    """
    context = api.context
    if by_command is None:
        by_command = context is not None
    name = context.user if context else "admin"
    user = _command(api.server) if by_command else _proof(api, settings)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "aerekos", "cluster": {"server": api.server, **_trusted(settings, context)}}],
        "users": [{"name": f"aerekos-{name}", "user": user}],
        "contexts": [
            {
                "name": "aerekos",
                "context": {"cluster": "aerekos", "user": f"aerekos-{name}", "namespace": "default"},
            }
        ],
        "current-context": "aerekos",
    }


def credential(api: ApiClient, settings: Settings, server: str | None, env: Mapping[str, str]) -> dict[str, Any]:
    """An ExecCredential of whoever is logged in. Raises UserError when that is a login to another cloud."""
    if server is not None and server != api.server:
        # What proves somebody to one cloud must not be sent to another.
        message = f"the login here is one to {api.server}, not to {server}"
        raise UserError(message, hint=f"aerekos login --server {server} --user NAME")
    proof = _proof(api, settings)
    if api.context is not None:
        expires = datetime.fromtimestamp(api.context.expires_at, UTC)
        status = {"token": proof["token"], "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    else:
        status = {
            "clientCertificateData": base64.b64decode(proof["client-certificate-data"]).decode(),
            "clientKeyData": base64.b64decode(proof["client-key-data"]).decode(),
        }
    return {"kind": "ExecCredential", "apiVersion": _wanted_version(env), "status": status}


def _command(server: str) -> dict[str, Any]:
    """`v1beta1`, which kubectl takes from 1.11 on and newer ones still do."""
    script = Path(sys.executable).with_name("aerekos")
    program = [str(script)] if script.exists() else [sys.executable, "-P", "-m", "aerekos_cloud"]
    return {
        "exec": {
            "apiVersion": OLDER,
            "command": program[0],
            "args": [*program[1:], *contexts.as_arguments(), "credential", "--server", server],
            "env": [{"name": name, "value": os.environ.get(name, "")} for name in _PLACE],
            "interactiveMode": "Never",
            "provideClusterInfo": False,
            "installHint": "This kubeconfig was made by `aerekos kubeconfig`; the program is not where it was then.",
        }
    }


def _proof(api: ApiClient, settings: Settings) -> dict[str, str]:
    """The token that is good now, or the local admin's certificate."""
    if api.context is None:
        certificate, key = settings.tls / "admin.crt", settings.tls / "admin.key"
        return {"client-certificate-data": _embedded(certificate), "client-key-data": _embedded(key)}
    api.send("GET", "/auth/whoami")  # renews the token when it is about to end
    return {"token": api.context.access_token}


def _trusted(settings: Settings, context: Context | None) -> dict[str, str]:
    if context is None:
        return {"certificate-authority-data": _embedded(settings.tls / "ca.crt")}
    return {"certificate-authority-data": base64.b64encode(context.ca.encode()).decode()} if context.ca else {}


def _embedded(file: Path) -> str:
    try:
        return base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}", hint="aerekos up makes it") from error


def _wanted_version(env: Mapping[str, str]) -> str:
    """The version the client speaks: it refuses an answer in another one."""
    try:
        asked = json.loads(env.get(_ASKED, "")).get("apiVersion")
    except (ValueError, AttributeError):
        return OLDER
    return asked if asked in (NEWER, OLDER) else OLDER
