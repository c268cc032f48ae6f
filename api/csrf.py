"""Protection against cross-site requests: what keeps pages of others from acting through a browser that is logged in,
and answers from being kept.

A page may send any site a POST without asking, as long as it is a form's or has no content type; its user's client
certificate goes along. So what changes something must say that it is JSON (or one of Kubernetes' own types), which
a browser sends to another origin only after that one has agreed.
"""

from __future__ import annotations

from api.asgi import Scope
from crds.errors import UnsupportedMedia

NO_STORE = (b"cache-control", b"no-store")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_TAKEN = frozenset(
    {
        b"application/json",
        b"application/yaml",
        b"application/json-patch+json",
        b"application/merge-patch+json",
        b"application/strategic-merge-patch+json",
        b"application/apply-patch+yaml",
        b"application/vnd.kubernetes.protobuf",
    }
)


def require_stated_type(scope: Scope) -> None:
    """Raises UnsupportedMedia for a change whose body does not say that it is what a form cannot send."""
    if scope["method"] in _READS:
        return
    headers = dict(scope["headers"])
    stated = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if stated in _TAKEN or (not stated and _is_kubectl(headers)):
        return
    if stated or b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
        named = stated.decode("latin-1") or "no content type"
        raise UnsupportedMedia(f"cannot read {named}; send application/json, and say so with Content-Type")


def _is_kubectl(headers: dict[bytes, bytes]) -> bool:
    """Old kubectl (seen: 1.20) names no type for what it makes from arguments, and none does with `--raw`. Since 1.22
    they say which command it was, also when the program is called otherwise. No page can give a browser another user
    agent or a header of its own without asking the other origin first, and no browser leaves Origin away.
    """
    called_so = headers.get(b"user-agent", b"").startswith(b"kubectl/")
    return (called_so or b"kubectl-command" in headers) and b"origin" not in headers


def may_be_kept(path: str) -> bool:
    """Whether an answer tells only what there is to ask, and nothing of what somebody keeps here."""
    if path.startswith("/openapi") or path in ("/api", "/apis"):
        return True
    deepest = {"/api/": 2, "/apis": 3}.get(path[:5], 0)  # /api/v1, /apis/group/version
    return 0 < path.rstrip("/").count("/") <= deepest
