"""Versions of this program and of the cloud."""

from __future__ import annotations

from controller.kit.version import commit, version
from controller.main.errors import UserError
from controller.main.settings import Settings


def own() -> str:
    """Version of this program, as `0.2.0 (1a2b3c4d5)`."""
    return _with_commit(version(), commit())


def _with_commit(released: str, built_from: str) -> str:
    return f"{released} ({built_from})" if built_from else released


def both(settings: Settings) -> dict[str, str]:
    """`client`, and `cloud` (empty when nobody answers)."""
    from cli import api_client

    try:
        with api_client.connect(settings) as api:
            told = api.get("/version")
    except UserError:
        return {"client": own(), "cloud": ""}
    released = str(told.get("version") or told.get("gitVersion") or "")
    return {"client": own(), "cloud": _with_commit(released, str(told.get("gitCommit") or ""))}
