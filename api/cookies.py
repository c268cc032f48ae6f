"""The refresh cookie of browsers, and what must come beside it.

`__Host-`: only this very host name over TLS can have set it. A browser sends it to every port of the host and with
everything a page there makes it ask, so it is worth nothing alone: `/auth/refresh` takes it only together with a key
that the dashboard keeps in the storage of its own origin and sends as a header, which no form, no image and no page
of another port can do.

Each cloud has a name of its own for it: two clouds on one host would otherwise overwrite each other's, and log people
out of the one they looked at first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from api.auth.sessions import REFRESH_SECONDS
from crds.errors import Forbidden

if TYPE_CHECKING:
    from fastapi import Request, Response

FAMILY = "__Host-aerekos-refresh"
KEY_HEADER = "x-aerekos-refresh-key"
_OURS = ("same-origin", "none")


@dataclass(frozen=True, slots=True)
class RefreshCookie:
    """The refresh cookie of one cloud."""

    name: str

    @classmethod
    def of(cls, ca: bytes) -> RefreshCookie:
        """The one of the cloud with that CA certificate (PEM)."""
        return cls(f"{FAMILY}-{hashlib.sha256(ca).hexdigest()[:12]}")

    def read(self, request: Request) -> str:
        """The token that a browser sent; empty without one."""
        return request.cookies.get(self.name, "")

    def keep(self, response: Response, token: str) -> None:
        """Put that refresh token into the browser."""
        response.set_cookie(
            self.name, token, max_age=REFRESH_SECONDS, path="/", secure=True, httponly=True, samesite="strict"
        )

    def take_away(self, response: Response) -> None:
        """Remove it from the browser; cookies of other clouds stay."""
        response.delete_cookie(self.name, path="/", secure=True, httponly=True, samesite="strict")


def require_own_page(headers: Mapping[str, str]) -> None:
    """Raises Forbidden when a browser says that a page of another origin asks."""
    found = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    if is_foreign(found):
        raise Forbidden("a page of another origin may not use this browser's login")


def is_foreign(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a browser says that the request comes from a page that is not ours; other ports of this host are not.

    Clients that are no browsers say nothing of it, or name our own origin.
    """
    said = dict(headers)
    site = said.get(b"sec-fetch-site")
    if site is not None and site.decode("latin-1").lower() not in _OURS:
        return True
    origin = said.get(b"origin")
    return origin is not None and _host(origin) != said.get(b"host", b"").decode("latin-1").lower()


def without_ours(cookies: bytes) -> bytes:
    """A Cookie header less the refresh cookies, also of other clouds on this host: nobody behind the gateway has use
    for one."""
    marks = (f"{FAMILY}=".encode(), f"{FAMILY}-".encode())
    kept = [each.strip() for each in cookies.split(b";")]
    return b"; ".join(each for each in kept if each and not each.startswith(marks))


def _host(origin: bytes) -> str:
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower()
    except ValueError:
        return ""
