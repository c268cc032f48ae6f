"""`aerekos import`: a Swarm service that somebody made by hand becomes a Service.

Its like is started first, and the old one removed when that one is ready; only a published port, which two cannot
have, turns the order round.
"""

from __future__ import annotations

import time
from typing import Any

from cli.connecting import Api
from cli.errors import CliError
from cli.output import Progress

_LOOK_SECONDS = 0.5


def manifest(api: Api, name: str, to: str | None, namespace: str) -> dict[str, Any]:
    """The Service that would run the same. Raises Refused with what cannot be said in one."""
    found: dict[str, Any] = api.get(f"/swarm/services/{name}", params={"to": to or "", "namespace": namespace})
    return found


def replace(api: Api, name: str, service: dict[str, Any], *, timeout: float) -> None:
    """Raises Refused, or CliError when the new one does not get ready; then the old one still runs."""
    path = f"/apis/aerekos.cloud/v1/namespaces/{service['metadata']['namespace']}/services"
    first_out = any(each.get("published") for each in service["spec"].get("ports", ()))
    api.ask("POST", path, json=service, params={"fieldValidation": "Strict", "dryRun": "All"})
    if first_out:
        api.send("DELETE", f"/swarm/services/{name}")
    api.ask("POST", path, json=service, params={"fieldValidation": "Strict"})
    _wait_ready(api, f"{path}/{service['metadata']['name']}", timeout)
    if not first_out:
        api.send("DELETE", f"/swarm/services/{name}")


def _wait_ready(api: Api, path: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    with Progress("starting it as a Service") as progress:
        while True:
            conditions = api.get(path).get("status", {}).get("conditions", [])
            ready = next((each for each in conditions if each["type"] == "Ready"), {"status": "False", "message": ""})
            if ready["status"] == "True":
                return
            if time.monotonic() > deadline:
                raise CliError(f"not ready after {timeout:g} s: {ready['message']}", hint="the old one still runs")
            progress.now(ready["message"])
            time.sleep(_LOOK_SECONDS)
