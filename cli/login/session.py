"""Logging in and out, users and their passwords."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cli import api_client
from cli.api_client import ApiClient
from cli.errors import Refused
from cli.login import contexts
from cli.urls import segment
from controller.main.errors import Misuse, UserError

_GROUP = "/apis/aerekos.cloud/v1"
_MERGE = {"content-type": "application/merge-patch+json"}
_RBAC = "rbac.authorization.k8s.io"
_CLUSTER_ROLES = {"admin": "admin", "editor": "edit", "viewer": "view"}


def read_password(prompt: str, *, from_stdin: bool, twice: bool = False) -> str:
    """Never from an argument: those show in the list of processes. Raises Misuse."""
    import getpass

    if from_stdin:
        given = sys.stdin.readline().rstrip("\r\n")
        if not given:
            raise Misuse(f"stdin has no more lines; wanted: {prompt}", hint="one password a line")
    elif not sys.stdin.isatty():
        raise Misuse("no terminal to ask for the password", hint="give it with --password-stdin")
    else:
        given = getpass.getpass(f"{prompt}: ")
        if twice and getpass.getpass("Once more: ") != given:
            raise Misuse("the two passwords differ", hint="type it again")
    if not given:
        raise Misuse("the password is empty", hint="give one")
    return given


def login(
    server: str,
    ca: str | None,
    user: str,
    password: str,
    code: str = "",
    *,
    choose: Callable[[], str],
) -> None:
    """Keeps the login for the next commands. Asks for a second factor where there is one.

    `choose` asks for the password that takes the place of a one-time one.
    """
    from cli.login import second_factor

    with api_client.anonymous(server, ca) as api:
        pair = second_factor.log_in(api, user, password, code)
        if pair.get("passwordChangeRequired"):
            chosen = choose()
            _change_own(api, pair, user, password, chosen)
            pair = second_factor.log_in(api, user, chosen, "")
    keep_login(server, user, ca, pair)


def keep_login(server: str, user: str, ca: str | None, pair: dict[str, Any]) -> None:
    """Keep a login for the next commands."""
    contexts.keep(api_client.renewed(contexts.Context(server, user, "", "", 0.0, ca), pair))


def _change_own(api: ApiClient, pair: dict[str, Any], user: str, old: str, new: str) -> None:
    bearer = {"authorization": f"Bearer {pair['accessToken']}"}
    api.send("POST", "/auth/password", json={"username": user, "current": old, "password": new}, headers=bearer)


def logout() -> bool:
    """Ends the session at the cloud and forgets it here. Whether there was one."""
    context = contexts.current()
    if context is not None:
        # A cloud that is away ends it at its deadline; here it is forgotten at any rate.
        with suppress(UserError), api_client.anonymous(context.server, context.ca) as api:
            api.send("POST", "/auth/logout", json={"refreshToken": context.refresh_token})
    return contexts.forget()


def sessions(api: ApiClient, user: str | None) -> list[dict[str, Any]]:
    """What that user (or oneself) is logged in with."""
    params = {"user": user} if user else {}
    return list(api.get("/auth/sessions", params=params)["sessions"])


def sign_out(api: ApiClient, user: str | None) -> None:
    """Every session of that user (or of oneself)."""
    api.send("POST", "/auth/logout-all", json={"username": user} if user else {})


def create_user(api: ApiClient, name: str, roles: list[str], namespace: str | None, password: str) -> None:
    """The user and their password, and with a namespace the bindings that give the roles there alone.

    A user whose password or binding was refused is taken away again.
    """
    spec = {"roles": [] if namespace else roles, "namespace": namespace or "default"}
    body = {"apiVersion": "aerekos.cloud/v1", "kind": "User", "metadata": {"name": name}, "spec": spec}
    made = api.ask("POST", f"{_GROUP}/users", json=body, params={"fieldValidation": "Strict"})
    try:
        for role in roles if namespace else ():
            _bind(api, made, role, namespace or "")
        change_password(api, name, password)
    except (Refused, Misuse):
        api.ask("DELETE", f"{_GROUP}/users/{segment(name)}")
        raise


def _bind(api: ApiClient, user: dict[str, Any], role: str, namespace: str) -> None:
    """A role binding that goes with its user: who gets the name later does not inherit it. Raises Misuse."""
    if role not in _CLUSTER_ROLES:
        raise Misuse(f"there is no role {role!r}", hint=f"--role {', '.join(_CLUSTER_ROLES)}")
    name = user["metadata"]["name"]
    owner = {"apiVersion": "aerekos.cloud/v1", "kind": "User", "name": name, "uid": user["metadata"]["uid"]}
    body = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"user-{name}-{_CLUSTER_ROLES[role]}", "ownerReferences": [owner]},
        "subjects": [{"kind": "User", "name": name, "apiGroup": _RBAC}],
        "roleRef": {"kind": "ClusterRole", "name": _CLUSTER_ROLES[role], "apiGroup": _RBAC},
    }
    api.ask("POST", f"/apis/{_RBAC}/v1/namespaces/{namespace}/rolebindings", json=body)


def set_disabled(api: ApiClient, name: str, *, disabled: bool) -> None:
    """A disabled user is let in nowhere. Raises Refused, also for the last admin."""
    api.ask("PATCH", f"{_GROUP}/users/{segment(name)}", json={"spec": {"disabled": disabled}}, headers=_MERGE)


def change_password(api: ApiClient, name: str, password: str) -> None:
    """The cloud judges it and keeps its hash. Raises Refused for a bad one."""
    api.send("POST", "/auth/password", json={"username": name, "password": password})
