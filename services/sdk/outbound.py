"""Requests to addresses that people chose: never to where only this cloud can reach.

A name is resolved once, its addresses are judged, and the very address that was judged is connected to, with the name
proven by its certificate. Redirects are not followed; of an answer, its first bytes are read at most.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import anyio
import httpx

from crds.kinds.namespace import NAMESPACE, Namespace

if TYPE_CHECKING:
    from services.sdk.informer import Informer

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
MOST_READ = 4096
PRIVATE_NETWORK = "aerekos.cloud/webhooks-to-private-network"
"""An annotation of a Namespace: `true` lets what its people have posted go to private networks."""
_ANSWER_BYTES_AT_ONCE, _MUCH = 1024, 65_536


def allows_private(namespaces: Informer[Namespace], namespace: str) -> bool:
    """Whether what people of that namespace have posted may go to private networks: its annotation says so."""
    found = namespaces.by_key(NAMESPACE.key(namespace))
    notes = found.metadata.annotations if found is not None else None
    return (notes or {}).get(PRIVATE_NETWORK) == "true"


class OutboundFault(Exception):
    """It could not be asked. The words tell nothing of what is behind an address."""


class OutboundAnswer(NamedTuple):
    """`retry_after`: what that header said, in seconds, where it did. `body`: its beginning."""

    status: int
    body: bytes
    retry_after: float | None


async def resolved(host: str, port: int) -> list[str]:
    """The addresses of that name. Raises OSError."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def open_outbound() -> httpx.AsyncClient:
    """A client for `OutboundHttp`, without credentials. As many connections as are asked for at once, each for one
    request: another name at the same address is proven by a certificate of its own.
    """
    return httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0))


class OutboundHttp:
    """`http`: a client without credentials. `resolve`: names to addresses."""

    def __init__(self, http: httpx.AsyncClient, resolve: Resolve = resolved) -> None:
        self._http, self._resolve = http, resolve

    async def post(
        self,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        seconds: float,
        is_allowed: Callable[[str], bool],
        read: int = 0,
    ) -> OutboundAnswer:
        """`is_allowed`: whether that IP address may be called. `read`: bytes of the answer that are wanted. Raises
        OutboundFault.
        """
        return await self._answered("POST", url, content, headers, is_allowed, min(read, MOST_READ), seconds)

    async def get(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        seconds: float,
        is_allowed: Callable[[str], bool],
        read: int,
    ) -> OutboundAnswer:
        """As `post`, but that `read` bytes of the answer are wanted, however many. Raises OutboundFault."""
        return await self._answered("GET", url, b"", headers, is_allowed, read, seconds)

    async def _answered(
        self,
        method: str,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        is_allowed: Callable[[str], bool],
        read: int,
        seconds: float,
    ) -> OutboundAnswer:
        try:
            with anyio.fail_after(seconds):
                return await self._sent(method, url, content, headers, is_allowed, read, seconds)
        except TimeoutError:
            raise OutboundFault(f"it did not answer within {seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError):
            # Which of the two it was tells whoever set the address what is behind it.
            raise OutboundFault("it cannot be reached, or its certificate is not trusted") from None

    async def _sent(
        self,
        method: str,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        is_allowed: Callable[[str], bool],
        read: int,
        seconds: float,
    ) -> OutboundAnswer:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        address = next((each for each in await self._resolve(host, port) if is_allowed(each)), None)
        if address is None:
            raise OutboundFault("its address is not one that may be called from here")
        # The very address that was judged: a name may mean another one a moment later.
        target = httpx.URL(url).copy_with(host=address)
        told = {**headers, "host": parts.netloc}
        extensions = {"sni_hostname": host}
        request = self._http.build_request(
            method, target, content=content, headers=told, extensions=extensions, timeout=seconds
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            return OutboundAnswer(response.status_code, await _beginning(response, read), _retry_after(response))
        finally:
            await response.aclose()


def is_outside(address: str) -> bool:
    """Whether that is an address beyond this machine and its link."""
    found = _parsed(address)
    return found is not None and not (
        found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified or found.is_reserved
    )


def is_public(address: str) -> bool:
    """Whether that is an address of the internet: of no private network, and nothing special."""
    found = _parsed(address)
    return found is not None and found.is_global and not found.is_multicast and found not in _SITE_LOCAL


def allowed_addresses(url: str, *, private: bool) -> Callable[[str], bool]:
    """Which addresses a message to that URL may go to: those of the internet, over TLS; those of private networks
    where that is allowed.
    """
    over_tls = url.startswith("https://")

    def is_allowed(address: str) -> bool:
        if is_public(address):
            return over_tls
        return private and is_outside(address)

    return is_allowed


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if any(found in each for each in _UNKNOWN):
            return None
        # What a translator, or the kernel, makes an IPv4 address of.
        return found.ipv4_mapped or found.sixtofour or _nat64(found) or found
    return found


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """RFC 6052, 2.1."""
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SITE_LOCAL = ipaddress.IPv6Network("fec0::/10")  # RFC 3879: to be treated as of the internet, and yet in use inside
_UNKNOWN = (
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # RFC 8215: what a translator makes of these, it alone knows
    ipaddress.IPv6Network("::/96"),  # RFC 4291, 2.5.5.1: a kernel may make an IPv4 address of it
    ipaddress.IPv6Network("::ffff:0:0:0/96"),  # RFC 2765, 2.1: as the first one
)


async def _beginning(response: httpx.Response, most: int) -> bytes:
    found, size = [], 0
    if most:
        async for block in response.aiter_raw(max(_ANSWER_BYTES_AT_ONCE, min(most, _MUCH))):
            found.append(block)
            size += len(block)
            if size >= most:
                break
    return b"".join(found)[:most]


def _retry_after(response: httpx.Response) -> float | None:
    """In seconds; a date is not understood."""
    said = response.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() and len(said) < 8 else None
