"""Removing a worker: asked for once, then told step by step until it is gone."""

from __future__ import annotations

import time
from typing import Any

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.output import Progress
from cli.urls import segment
from controller.main.errors import UserError
from crds.conditions import ConditionType

_LOOK_SECONDS = 0.5
_WORKERS = "/apis/aerekos.cloud/v1/workers"
_MERGE = {"content-type": "application/merge-patch+json"}


def remove(api: ApiClient, name: str, *, timeout: float) -> None:
    """Raises Refused when there is none of that name, UserError when it takes too long."""
    # Asked before anything is changed: what may not go must not be left without work either.
    api.ask("DELETE", f"{_WORKERS}/{segment(name)}", params={"dryRun": "All"})
    # Nothing new is placed there from now on.
    api.ask("PATCH", f"{_WORKERS}/{segment(name)}", json={"spec": {"unschedulable": True}}, headers=_MERGE)
    api.ask("DELETE", f"{_WORKERS}/{segment(name)}")
    deadline, because = time.monotonic() + timeout, ""
    with Progress(f"removing {name}") as progress:
        while (seen := _look(api, name)) is not None:
            because = _because(seen) or because
            if time.monotonic() > deadline:
                message = f"{name} is not gone after {timeout:g} s: {because}"
                raise UserError(message, hint=f"it goes on; see: aerekos describe worker {name}")
            progress.now(because)
            time.sleep(_LOOK_SECONDS)


def _look(api: ApiClient, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = api.get(f"{_WORKERS}/{segment(name)}")
    except Refused as refused:
        if refused.status == 404:
            return None
        raise
    return found


def _because(worker: dict[str, Any]) -> str:
    """What its deletion waits for."""
    conditions = worker.get("status", {}).get("conditions", [])
    return next((str(each.get("message", "")) for each in conditions if each["type"] == ConditionType.RECONCILED), "")
