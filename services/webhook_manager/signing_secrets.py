"""The Secret `<endpoint>-webhook` that an endpoint's messages are signed with: made here, for who may read it.

`secret` signs; `previous` signs along after a rotation, until the time in the annotation. Whoever writes another
`secret` (`whsec_...`) into it chooses it.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

import anyio

from crds.errors import AlreadyExists, ApiError, Conflict, NotFound
from crds.kinds.secret import SECRET, Secret
from crds.meta import OwnerReference
from crds.model import rfc3339
from services.sdk.reconcile import Temporary
from services.sdk.resources import Clock, Resources
from services.webhook_manager.conditions import EndpointReason
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT, WebhookEndpoint
from services.webhook_manager.names import SECRET_TYPE, secret_name
from services.webhook_manager.signatures import key_of, new_secret

VERSION, UNTIL = "aerekos.cloud/secret-version", "aerekos.cloud/previous-until"
FRESH_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 15.0


class SecretUnreadable(Exception):
    """Nothing can be signed now."""


class SigningSecrets:
    """`own`: the service's own resources. What was read holds for some seconds, also that nothing signs; and while no
    conductor answers.
    """

    def __init__(self, own: Resources, clock: Clock) -> None:
        self._own, self._clock = own, clock
        self._known: dict[str, tuple[list[bytes] | SecretUnreadable, float]] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def keys(self, uid: str, name: str, namespace: str) -> list[bytes]:
        """What signs messages to the endpoint of that uid and name. Raises SecretUnreadable."""
        async with self._locks.setdefault(uid, anyio.Lock()):  # of all that wait for it one reads
            known, now = self._known.get(uid), self._clock.monotonic()
            if known is None or now >= known[1]:
                found = await self._read(uid, name, namespace, known[0] if known is not None else None)
                known = self._known[uid] = (found, now + FRESH_SECONDS)
        if isinstance(known[0], SecretUnreadable):
            raise SecretUnreadable(str(known[0]))
        return known[0]

    async def _read(
        self, uid: str, name: str, namespace: str, before: list[bytes] | SecretUnreadable | None
    ) -> list[bytes] | SecretUnreadable:
        try:
            return _keys_of(await self._own.get(SECRET, secret_name(name), namespace), uid, self._clock.now())
        except (NotFound, ValueError):
            return SecretUnreadable(f"the Secret {secret_name(name)} has no secret that signs")
        except ApiError:
            return before or SecretUnreadable(f"the Secret {secret_name(name)} cannot be read")

    def forget(self, uid: str) -> None:
        self._known.pop(uid, None)
        self._locks.pop(uid, None)

    async def ensure(self, endpoint: WebhookEndpoint) -> datetime | None:
        """Have the Secret as the spec says. Returns when something of it ends. Raises Temporary."""
        meta = endpoint.metadata
        try:
            there = await self._own.get(SECRET, secret_name(meta.name), meta.namespace)
        except NotFound:
            there = await self._create(endpoint)
        if not _belongs_to(there, meta.uid or ""):
            text = f"the Secret {there.metadata.name} was not made here: delete it, or rename the endpoint"
            raise Temporary(text, reason=EndpointReason.SECRET_TAKEN, after=_LOOK_AGAIN_SECONDS)
        there = await self._brought_up_to_date(endpoint, there)
        _require_valid(there)
        return _until(there)

    async def _create(self, endpoint: WebhookEndpoint) -> Secret:
        meta = endpoint.metadata
        data = {"secret": new_secret()}
        made = SECRET.new(secret_name(meta.name), namespace=meta.namespace, type=SECRET_TYPE, string_data=data)
        kind = WEBHOOK_ENDPOINT
        owner = OwnerReference(
            api_version=kind.api_version, kind=kind.name, name=meta.name, uid=meta.uid or "", controller=True
        )
        made.metadata.owner_references = [owner]
        made.metadata.annotations = {VERSION: str(endpoint.spec.secret_version)}
        try:
            return await self._own.create(SECRET, made)
        except AlreadyExists as error:
            raise Temporary("the Secret was made meanwhile", after=0.2) from error

    async def _brought_up_to_date(self, endpoint: WebhookEndpoint, there: Secret) -> Secret:
        """Rotated where another version is wanted, without the previous one where its time is over."""
        notes, now = dict(there.metadata.annotations or {}), self._clock.now()
        data = dict(there.data or {})
        if _version(notes) < endpoint.spec.secret_version:
            if _is_valid(_text(there, "secret")):
                until = now + timedelta(hours=endpoint.spec.secret_overlap_hours)
                data["previous"], notes[UNTIL] = data["secret"], rfc3339(until)
            data["secret"] = base64.b64encode(new_secret().encode()).decode()
            notes[VERSION] = str(endpoint.spec.secret_version)
        if (until_ := _moment(notes.get(UNTIL, ""))) is not None and until_ <= now:
            data.pop("previous", None)
            notes.pop(UNTIL, None)
        if data == (there.data or {}) and notes == (there.metadata.annotations or {}):
            return there
        there.data, there.metadata.annotations = data, notes or None
        try:
            there = await self._own.replace(SECRET, there)
        except (Conflict, NotFound) as error:
            raise Temporary("the Secret was changed meanwhile", after=0.2) from error
        self.forget(endpoint.metadata.uid or "")
        return there


def _keys_of(secret: Secret, uid: str, now: datetime) -> list[bytes]:
    """Raises ValueError."""
    if not _belongs_to(secret, uid):
        raise ValueError("it belongs to somebody else")
    keys = [key_of(_text(secret, "secret"))]
    until, previous = _until(secret), _text(secret, "previous")
    if until is not None and now < until and _is_valid(previous):
        keys.append(key_of(previous))
    return keys


def _is_valid(text: str) -> bool:
    try:
        key_of(text)
    except ValueError:
        return False
    return True


def _require_valid(secret: Secret) -> None:
    try:
        key_of(_text(secret, "secret"))
    except ValueError as fault:
        text = f"`secret` in the Secret {secret.metadata.name} {fault}"
        raise Temporary(text, reason=EndpointReason.INVALID_SECRET, after=_LOOK_AGAIN_SECONDS) from None


def _belongs_to(secret: Secret, uid: str) -> bool:
    return any(each.uid == uid for each in secret.metadata.owner_references or ())


def _text(secret: Secret, key: str) -> str:
    return base64.b64decode((secret.data or {}).get(key, "")).decode("utf-8", "replace").strip()


def _version(notes: dict[str, str]) -> int:
    text = notes.get(VERSION, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _until(secret: Secret) -> datetime | None:
    return _moment((secret.metadata.annotations or {}).get(UNTIL, ""))


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
