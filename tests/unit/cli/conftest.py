"""A cloud that exists only as a function: requests never leave the process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import api_client
from cli.api_client import ApiClient

VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
Handler = Callable[[httpx.Request], httpx.Response]


def described(plural: str, kind: str, *short: str, **more: Any) -> dict[str, Any]:
    """A kind with a namespace that can do everything, as aggregated discovery tells of it; `more` says otherwise."""
    told = {
        "resource": plural,
        "singularResource": kind.lower(),
        "responseKind": {"kind": kind},
        "scope": "Namespaced",
        "shortNames": [*short],
        "verbs": VERBS,
    }
    return told | more


def group(name: str, *resources: dict[str, Any]) -> dict[str, Any]:
    """A group with its version v1."""
    return {"metadata": {"name": name or None}, "versions": [{"version": "v1", "resources": [*resources]}]}


DISCOVERY = {
    "/api": {
        "items": [
            group(
                "",
                described("namespaces", "Namespace", scope="Cluster"),
                described("events", "Event", "ev", verbs=[]),
            )
        ]
    },
    "/apis": {
        "items": [
            group(
                "aerekos.cloud",
                described("services", "Service", "asvc", categories=["all"]),
                described("keys", "Key"),
                described("buckets", "Bucket"),
            ),
            group(
                "apps",
                described("deployments", "Deployment", "deploy", verbs=["get", "list", "patch", "update", "watch"]),
                described("selfsubjectreviews", "SelfSubjectReview", scope="Cluster", verbs=["create"]),
            ),
        ]
    },
}


class Cloud:
    """Keeps resources by path, and remembers which writes it was asked for."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.writes: list[httpx.Request] = []
        self.refuse: Handler | None = None

    def api(self) -> ApiClient:
        client = httpx.Client(base_url="https://cloud.test", transport=httpx.MockTransport(self.answer))
        return ApiClient(client, "https://cloud.test")

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if self.refuse:
            return self.refuse(request)
        if request.method != "GET":
            return self._write(request, path)
        found = DISCOVERY.get(path) or self.resources.get(path)
        if found is None:
            return missing(path)
        return httpx.Response(200, json=found)

    def _write(self, request: httpx.Request, path: str) -> httpx.Response:
        import json

        from controller.resources.merge_patch import merge_patch

        self.writes.append(request)
        body = json.loads(request.content or b"{}")
        if request.method == "POST":
            path = f"{path}/{body['metadata']['name']}"
        elif request.method == "PATCH":
            body = merge_patch(self.resources[path], body)
        elif request.method == "DELETE":
            return httpx.Response(200, json=self.resources.pop(path))
        body["metadata"] |= {"resourceVersion": str(len(self.writes)), "uid": path}
        self.resources[path] = body
        return httpx.Response(200, json=body)


def missing(path: str) -> httpx.Response:
    """As the cloud says that one resource is not there."""
    plural, name = path.split("/")[-2:]
    body = {"kind": "Status", "message": f'{plural} "{name}" not found', "reason": "NotFound"}
    return httpx.Response(404, json={**body, "details": {"name": name, "kind": plural, "group": ""}})


def status(code: int, message: str, *causes: dict[str, str]) -> httpx.Response:
    body = {"kind": "Status", "status": "Failure", "message": message, "details": {"causes": list(causes)}}
    return httpx.Response(code, json=body)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    made = Cloud()
    monkeypatch.setenv("AEREKOS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(api_client, "connect", lambda _: made.api())
    return made
