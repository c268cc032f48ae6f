"""TLS between the gateway and managed services, both ways: the instance proves which Service it is, and the gateway
that it is the gateway.

A certificate of the gateway lives a day, in memory; a new one is taken at half of that, for connections made from
then on. Containers people run have no certificate of the platform's, and are reached as they are.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection
from typing import Protocol

from api.tls import INSTANCE_SECONDS, CertificateAuthority, service_host
from controller.kit.clock import Clock
from services.sdk.certificate import load_chain


class Secures(Protocol):
    """The way a service is spoken to: with which name and TLS context."""

    def host(self, service: str, address: str) -> str:
        """The name its certificate must carry; empty for one that has none."""
        ...

    def context(self) -> ssl.SSLContext | None:
        """Always the same one, with a certificate of ours that is still good."""
        ...


class Plain:
    """No TLS: nobody has a certificate."""

    def host(self, service: str, address: str) -> str:
        return ""

    def context(self) -> None:
        return None


class KnownHosts:
    """Each certificate must be for the host it is asked at, which `context` judges."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def host(self, service: str, address: str) -> str:
        return address.rpartition(":")[0]

    def context(self) -> ssl.SSLContext:
        return self._context


class MutualTls:
    """`managed`: the Services whose instances must prove who they are."""

    def __init__(self, authority: CertificateAuthority, managed: Collection[str], clock: Clock) -> None:
        self._authority, self._managed, self._clock = authority, frozenset(managed), clock
        self._context = ssl.create_default_context(cafile=str(authority.ca_file))
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._renew_after = float("-inf")

    def host(self, service: str, address: str) -> str:
        return service_host(service, "default") if service in self._managed else ""

    def context(self) -> ssl.SSLContext:
        if self._clock.monotonic() >= self._renew_after:
            load_chain(self._context, self._authority.for_gateway(self._clock.now()))
            self._renew_after = self._clock.monotonic() + INSTANCE_SECONDS / 2
        return self._context
