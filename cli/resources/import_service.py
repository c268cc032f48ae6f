"""`aerekos import`: a Swarm service that somebody made by hand becomes a Service. Its instances run on."""

from __future__ import annotations

import time
from typing import Any

from cli.api_client import ApiClient
from cli.output import Progress
from cli.urls import segment
from controller.main.errors import UserError
from crds.conditions import ConditionType

_LOOK_SECONDS = 0.5


def manifest(api: ApiClient, name: str, to: str | None, namespace: str) -> dict[str, Any]:
    """The Service that would run the same. Raises Refused with what cannot be said in one."""
    found: dict[str, Any] = api.get(
        f"/swarm/services/{segment(name)}", params={"to": to or "", "namespace": namespace}
    )
    return found


def adopt(api: ApiClient, name: str, service: dict[str, Any], *, timeout: float) -> None:
    """Raises Refused, or UserError when the Service does not get ready: then its instances do not serve, either."""
    meta = service["metadata"]
    path = f"/apis/aerekos.cloud/v1/namespaces/{segment(meta['namespace'])}/services"
    api.ask("POST", path, json=service, params={"fieldValidation": "Strict", "dryRun": "All"})
    # Marked first: a Service without a Swarm service of its own would make one.
    api.send(
        "POST",
        f"/swarm/services/{segment(name)}/adoption",
        params={"to": meta["name"], "namespace": meta["namespace"]},
    )
    api.ask("POST", path, json=service, params={"fieldValidation": "Strict"})
    _wait_ready(api, f"{path}/{segment(meta['name'])}", timeout)


def _wait_ready(api: ApiClient, path: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    with Progress("making it a Service") as progress:
        while True:
            conditions = api.get(path).get("status", {}).get("conditions", [])
            ready = next(
                (each for each in conditions if each["type"] == ConditionType.READY),
                {"status": "False", "message": ""},
            )
            if ready["status"] == "True":
                return
            if time.monotonic() > deadline:
                raise UserError(
                    f"not ready after {timeout:g} s: {ready['message']}",
                    hint="it is the Service now, and runs as it did before",
                )
            progress.now(ready["message"])
            time.sleep(_LOOK_SECONDS)
