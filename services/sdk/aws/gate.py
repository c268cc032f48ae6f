"""Who makes this AWS call: an AWS user by signature, or another managed service by its identity token.

The gateway's own identity admits nobody: behind it, only the signature counts.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.kit.clock import Clock
from crds.errors import NotFound
from services.sdk.aws.errors import SignatureFault
from services.sdk.aws.sigv4 import RawRequest, Signature, check_time, payload_hash, read_signature, verify
from services.sdk.conductor import fetch_json
from services.sdk.identity import Caller

if TYPE_CHECKING:
    from services.sdk.instance import Instance

_REMEMBERED = 4096
_UNKNOWN_SECONDS = 5.0
Known = tuple["SigningKey | None", float]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A derived key and whose it is."""

    key: bytes
    caller: Caller


@dataclass(frozen=True, slots=True)
class Admitted:
    """A verified caller. `signature` and `key` are set when they signed; `payload` is the signed hash or marker."""

    caller: Caller
    signature: Signature | None = None
    key: bytes = b""
    payload: str = ""


class SigningKeys:
    """Signing keys from the conductor, remembered for as long as it says; unknown keys for a few seconds."""

    def __init__(self, ask: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]], clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._known: dict[tuple[str, str, str, str], Known] = {}

    async def get(self, signature: Signature) -> SigningKey:
        """Raises SignatureFault when the conductor does not know the access key; ApiError when it is away."""
        wanted = (signature.access_key, signature.date, signature.region, signature.service)
        known = self._known.get(wanted)
        if known is None or known[1] <= self._clock.monotonic():
            known = await self._fetched(wanted)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[wanted] = known
        if known[0] is None:
            raise SignatureFault("unknown-key", "The security token included in the request is invalid.")
        return known[0]

    async def _fetched(self, wanted: tuple[str, str, str, str]) -> Known:
        names = ("accessKeyId", "date", "region", "service")
        try:
            answer = await self._ask(dict(zip(names, wanted, strict=True)))
        except NotFound:
            return None, self._clock.monotonic() + _UNKNOWN_SECONDS
        caller = Caller(str(answer["user"]), tuple(answer["groups"]), str(answer["namespace"]))
        key = SigningKey(base64.b64decode(answer["signingKey"]), caller)
        return key, self._clock.monotonic() + float(answer["expiresIn"])


class AwsGate:
    """Admits AWS calls to one service. `speaks`: the signing names that may reach it."""

    def __init__(self, keys: SigningKeys, clock: Clock, speaks: tuple[str, ...]) -> None:
        self._keys, self._clock, self._speaks = keys, clock, speaks

    async def admit(self, request: RawRequest, identity: Caller, body: bytes | None = None) -> Admitted:
        """Raises SignatureFault. `body` None: not read; S3's own header then stands for it, unchecked here."""
        if not identity.gateway:
            return Admitted(_stated(request, identity))
        signature = read_signature(request)
        if signature is None:
            raise SignatureFault("missing", "Missing Authentication Token")
        if signature.service not in self._speaks:
            raise SignatureFault("mismatch", f"Credential should be scoped to correct service: {self._speaks[0]!r}.")
        check_time(signature, self._clock.now())
        digest = None if body is None else hashlib.sha256(body).hexdigest()
        payload = payload_hash(request, signature, digest)
        found = await self._keys.get(signature)
        verify(request, signature, found.key, payload, self._clock.now())
        return Admitted(found.caller, signature, found.key, payload)


def _stated(request: RawRequest, identity: Caller) -> Caller:
    """Services work in many namespaces and say in which; people's is in their identity."""
    wanted = request.header("x-aerekos-namespace")
    return Caller(identity.name, identity.groups, wanted) if identity.service and wanted else identity


def gate_for(instance: Instance, speaks: tuple[str, ...]) -> AwsGate:
    """The gate of a running instance."""

    async def ask(wanted: dict[str, Any]) -> dict[str, Any]:
        return await fetch_json(instance.client, "POST", "/auth/signing-keys", wanted)

    return AwsGate(SigningKeys(ask, instance.clock), instance.clock, speaks)


def raw_request(scope: Mapping[str, Any]) -> RawRequest:
    """The parts of an ASGI http scope that are signed."""
    path = scope.get("raw_path") or scope["path"].encode()
    return RawRequest(
        scope["method"],
        path.decode("latin-1").partition("?")[0],
        scope["query_string"].decode("latin-1"),
        [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]],
    )
