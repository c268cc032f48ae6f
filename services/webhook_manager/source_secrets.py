"""The Secret that proves a source's messages: each of its values does, so that two hold while one takes the other's
place.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import NamedTuple

import anyio

from crds.errors import ApiError, NotFound, Unavailable
from crds.kinds.secret import SECRET
from services.sdk.resources import Clock, Resources
from services.webhook_manager.names import SECRET_TYPE
from services.webhook_manager.source_kinds import Provider, WebhookSource
from services.webhook_manager.verification import proves

MOST_VALUES = 8
"""That are tried: anybody may have a message compared with each of them."""
_FRESH_SECONDS = 10.0


class _Known(NamedTuple):
    """`texts`: None where nobody could be asked."""

    name: str
    texts: list[str] | None
    until: float


class SourceSecrets:
    """`own`: the service's own resources. What was read holds for some seconds, and while no conductor answers: what
    anybody posts must not ask it.
    """

    def __init__(self, own: Resources, clock: Clock) -> None:
        self._own, self._clock = own, clock
        self._known: dict[str, _Known] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def of(self, source: WebhookSource) -> list[str]:
        """What may prove its messages. Raises Unavailable."""
        uid, name = source.metadata.uid or "", source.spec.secret_name
        async with self._locks.setdefault(uid, anyio.Lock()):  # of all that wait for it one reads
            known, now = self._known.get(uid), self._clock.monotonic()
            if known is None or known.name != name or now >= known.until:
                before = known.texts if known is not None and known.name == name else None
                known = self._known[uid] = _Known(name, await self._read(source, before), now + _FRESH_SECONDS)
        if known.texts is None:
            raise Unavailable("what proves messages cannot be read now")
        return known.texts

    def forget(self, uid: str) -> None:
        self._known.pop(uid, None)
        self._locks.pop(uid, None)

    async def _read(self, source: WebhookSource, before: list[str] | None) -> list[str] | None:
        namespace = source.metadata.namespace or "default"
        try:
            values = await values_of(self._own, source.spec.secret_name, namespace)
        except NotFound:
            return []
        except ApiError:
            return before
        found = [each for _, each in sorted(values.items()) if proves(source.spec.provider, each)]
        return found[:MOST_VALUES]


async def values_of(own: Resources, name: str, namespace: str) -> dict[str, str]:
    """What is in it, empty where that is no text. Raises NotFound; also for a Secret of another type, which is for
    something else: whoever names it here does not learn whether it proves anything.
    """
    found = await own.get(SECRET, name, namespace)
    if found.type != SECRET_TYPE:
        raise NotFound(f"the Secret {name} is not of the type {SECRET_TYPE}")
    return {key: _text(value) for key, value in (found.data or {}).items()}


def fault_of(provider: Provider, values: Mapping[str, str]) -> str:
    """What is wrong with those values, empty where nothing is."""
    if len(values) > MOST_VALUES:
        return f"has {len(values)} values: at most {MOST_VALUES} prove messages"
    wrong = next((key for key, each in sorted(values.items()) if not proves(provider, each)), None)
    if wrong is None:
        return ""
    wanted = "whsec_ and base64" if provider == "StandardWebhooks" else "text"
    return f"has a value that proves nothing, `{wrong}`: it must be {wanted}"


def _text(value: str) -> str:
    try:
        return base64.b64decode(value).decode().strip()
    except UnicodeDecodeError:
        return ""  # whatever else was made of it, others could make as well
