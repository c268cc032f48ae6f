"""Which requests a conductor that stands by may be able to answer, for it and for its gateways alike."""

from __future__ import annotations

from api.asgi import Scope
from api.dashboard import Dashboard

ASK_LEADER = b"x-aerekos-ask-leader"
"""Header of an answer: only the conductor that leads can give it."""
RESOURCE_PATHS = ("/api/", "/apis/", "/openapi/")
_EXACTLY = frozenset({"/api", "/apis", "/version", "/health", "/healthz", "/livez", "/ready", "/readyz"})


def is_local_read(scope: Scope) -> bool:
    """Whether it may be."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    path = scope["path"]
    return path in _EXACTLY or path.startswith(RESOURCE_PATHS) or Dashboard.serves(scope)
