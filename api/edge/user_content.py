"""Content of people, shown by a browser: never with the dashboard's origin, nor with any right of it.

A link to an object opens under the dashboard's own host and port. Without these headers, a page among the objects is
a page of the dashboard: it reads what the dashboard may. With them it is shown in a sandbox with an origin nobody
else has, runs no script, loads nothing, and is saved instead of shown where its type could be more than a picture.
Clients that are no browser (S3, SDKs, curl) do not look at them.
Source: HTML standard, "Sandboxing"; CSP 3, `sandbox`; Fetch, "Cross-Origin-Resource-Policy"; Fetch metadata.
"""

from __future__ import annotations

from collections.abc import Sequence

from crds.errors import Forbidden

Headers = list[tuple[bytes, bytes]]
POLICY = (
    b"sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
NOSNIFF = (b"x-content-type-options", b"nosniff")
NOT_THEIRS = frozenset(
    {
        b"content-security-policy",
        b"content-security-policy-report-only",
        b"x-content-type-options",
        b"cross-origin-resource-policy",
        b"cross-origin-opener-policy",
        b"set-cookie",
        b"clear-site-data",
        b"service-worker-allowed",
        b"strict-transport-security",
        b"refresh",
        b"sourcemap",
        b"alt-svc",
        b"nel",
        b"report-to",
        b"reporting-endpoints",
        b"origin-agent-cluster",
        b"x-request-id",
    }
)
"""What an answer could do to the whole origin, or to this page's protection; and the request's id, which is ours."""
_PASSIVE = (b"image/", b"audio/", b"video/")
_SHOWN = frozenset({b"text/plain", b"text/csv", b"application/json"})
_NAVIGATION = frozenset({b"document", b"iframe", b"frame", b"embed", b"object", b"fencedframe"})


def refuse_service_worker(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raises Forbidden for a browser that wants a script to stand between itself and this origin."""
    if b"service-worker" in dict(headers):
        raise Forbidden("no service worker comes from what is kept here")


def guarded(
    headers: Sequence[tuple[bytes, bytes]], request: Sequence[tuple[bytes, bytes]], *, shared: bool
) -> Headers:
    """The answer's headers, with what keeps it in its place. `shared`: pages of others may show it as a picture."""
    kept: Headers = [each for each in headers if each[0].lower() not in NOT_THEIRS]
    if navigates(request) and not _may_be_shown(kept):
        kept = _attached(kept)
    policy = b"cross-origin" if shared else b"same-origin"
    return [*kept, NOSNIFF, (b"content-security-policy", POLICY), (b"cross-origin-resource-policy", policy)]


def navigates(request: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a browser opens the answer as a page, or inside of one."""
    told = dict(request)
    mode, destination = told.get(b"sec-fetch-mode", b""), told.get(b"sec-fetch-dest", b"")
    return mode.lower() == b"navigate" or destination.lower() in _NAVIGATION


def _may_be_shown(headers: Headers) -> bool:
    types = [value.partition(b";")[0].strip().lower() for name, value in headers if name.lower() == b"content-type"]
    if len(types) != 1 or b"svg" in types[0]:
        return False
    return types[0] in _SHOWN or types[0].startswith(_PASSIVE)


def _attached(headers: Headers) -> Headers:
    """To be saved, under the name it was given if it was to be saved anyway."""
    given = next((value for name, value in headers if name.lower() == b"content-disposition"), b"")
    if given.strip().lower().startswith(b"attachment"):
        return headers
    return [*(each for each in headers if each[0].lower() != b"content-disposition"),
            (b"content-disposition", b"attachment")]  # fmt: skip
