"""AWS access keys of users, from the command line."""

from __future__ import annotations

from urllib.parse import quote

from cli.api_client import ApiClient
from cli.login.aws_env import as_somebody
from cli.tables import grid

_PATH = "/auth/access-keys"


def listed(api: ApiClient, user: str | None) -> str:
    """A table of that user's keys, or of one's own."""
    found = api.get(_PATH, params={"user": user} if user else {}, headers=as_somebody(api) if not user else {})
    rows = [[each[part] for part in ("accessKeyId", "state", "createdAt", "lastUsedAt", "lastUsedService")]
            for each in found["accessKeys"]]  # fmt: skip
    return grid(["ID", "STATE", "CREATED", "LAST USED", "SERVICE"], rows)


def created(api: ApiClient) -> str:
    """Id and secret of a new key."""
    made = api.ask("POST", _PATH, json={}, headers=as_somebody(api))
    return f"AWS_ACCESS_KEY_ID={made['accessKeyId']}\nAWS_SECRET_ACCESS_KEY={made['secretAccessKey']}"


def set_state(api: ApiClient, key: str, user: str | None, state: str) -> None:
    """`Active` or `Inactive`."""
    api.ask("PATCH", f"{_PATH}/{quote(key, safe='')}", json={"state": state}, **_about(api, user))


def delete(api: ApiClient, key: str, user: str | None) -> None:
    api.send("DELETE", f"{_PATH}/{quote(key, safe='')}", **_about(api, user))


def _about(api: ApiClient, user: str | None) -> dict[str, dict[str, str]]:
    return {"params": {"user": user}} if user else {"headers": as_somebody(api)}
