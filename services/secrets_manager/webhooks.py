"""Rotation by somebody's webhook: the event that AWS hands to a Lambda function, posted to an HTTPS address.

    {"Step": "createSecret", "SecretId": "arn:...", "ClientRequestToken": "..."}

Whoever listens there does the step through this API, with credentials of its own: the event holds nothing secret and
is no proof of anything. Any 2xx means done. Answers are not read, redirects not followed, certificates verified;
addresses of this machine and of its link are refused, also behind a name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx

from services.secrets_manager.rotation import RotationFailure
from services.secrets_manager.secret import FoundSecret

# All four of them within one pass of the reconciler.
STEP_SECONDS = 12.0
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolved(host: str, port: int) -> list[str]:
    """The addresses of that name. Raises OSError."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class WebhookRotator:
    """`http`: a client without credentials. `resolve`: names to addresses. `is_allowed`: whether one may be called;
    what is outside of this machine, if nothing else is said.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        resolve: Resolve = resolved,
        is_allowed: Callable[[str], bool] | None = None,
    ) -> None:
        self._http, self._resolve, self._is_allowed = http, resolve, is_allowed or is_outside

    async def carry_out(self, step: str, found: FoundSecret, token: str) -> None:
        """Raises RotationFailure."""
        assert found.spec.rotation is not None
        event = {"Step": step, "SecretId": found.arn, "ClientRequestToken": token}
        try:
            with anyio.fail_after(STEP_SECONDS):
                status = await self._post(found.spec.rotation.target, event)
        except TimeoutError:
            raise RotationFailure(f"the webhook did not answer within {STEP_SECONDS:g} s") from None
        except (httpx.HTTPError, OSError):
            # Which of the two it was tells whoever set the address what is behind it.
            raise RotationFailure("the webhook cannot be reached, or its certificate is not trusted") from None
        if not 200 <= status < 300:
            raise RotationFailure(f"the webhook answered {status}")

    async def _post(self, target: str, event: dict[str, Any]) -> int:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port or 443
        address = next((each for each in await self._resolve(host, port) if self._is_allowed(each)), None)
        if address is None:
            raise RotationFailure("the webhook's address is one of this machine or its link")
        # The very address that was judged: a name may mean another one a moment later.
        url = httpx.URL(target).copy_with(host=address)
        headers = {"host": parts.netloc}
        request = self._http.build_request(
            "POST", url, json=event, headers=headers, extensions={"sni_hostname": host}
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        await response.aclose()
        return response.status_code


def is_outside(address: str) -> bool:
    """Whether that is an address beyond this machine and its link."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return not (
        mapped.is_loopback or mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified
        or mapped.is_reserved
    )  # fmt: skip
