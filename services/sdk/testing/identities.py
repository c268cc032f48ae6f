"""What the conductor says of users at /auth, for the fake one: their access keys, and what IAM says of them."""

from __future__ import annotations

import secrets
from typing import Any

import httpx

from controller.kit.clock import Clock

MOST_KEYS = 2
Json = dict[str, Any]


class FakeIdentities:
    """`policies`: by the user's name, what `GET /auth/policies` answers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.policies: dict[str, Json] = {}
        self._keys: dict[str, dict[str, Json]] = {}

    def policies_of(self, user: str) -> httpx.Response:
        return httpx.Response(200, json=self.policies.get(user, {"user": None}))

    def access_keys(self, request: httpx.Request, key: str, body: Json) -> httpx.Response:
        """`key`: what the path names, or nothing."""
        theirs = self._keys.setdefault(request.url.params["user"], {})
        if request.method == "GET":
            return httpx.Response(200, json={"accessKeys": list(theirs.values())})
        if request.method == "POST":
            return self._create(theirs)
        if key not in theirs:
            return _refused(404, "NotFound", key)
        if request.method == "DELETE":
            del theirs[key]
            return httpx.Response(204)
        theirs[key].update(body)
        return httpx.Response(200, json=theirs[key])

    def _create(self, theirs: dict[str, Json]) -> httpx.Response:
        if len(theirs) >= MOST_KEYS:
            return _refused(409, "Conflict", "two access keys already")
        key = f"AKIA{secrets.token_hex(8).upper()}"
        made = self._clock.now().replace(microsecond=0).isoformat()
        theirs[key] = {"accessKeyId": key, "state": "Active", "createdAt": made}
        return httpx.Response(201, json={**theirs[key], "secretAccessKey": secrets.token_hex(20)})


def _refused(code: int, reason: str, message: str) -> httpx.Response:
    return httpx.Response(code, json={"kind": "Status", "reason": reason, "message": message})
