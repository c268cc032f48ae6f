"""Rotation of a user's access key. The key in the secret makes the next one: no right is needed that the secret does
not have, and nobody's key but its own user's is touched.

The value is JSON with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`; other members stay as they are. A user has two
keys at most, the current one and the previous one: who read the secret before goes on with what they have until the
next rotation, which deactivates and deletes the previous key before it makes another.

A key that was made while this process was killed, before its secret was stored, is nobody's: a later try deletes it.
It is told by its date, within a minute after the rotation set out to make one, which is written down before, and by
that it was not used for so long that a use would have been written down.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from services.sdk.aws.errors import AwsError
from services.sdk.aws.role_calls import CallFault, KeyPair
from services.sdk.resources import Clock
from services.secrets_manager.access_key_api import AccessKey, AccessKeyApi
from services.secrets_manager.envelope import SecretValue
from services.secrets_manager.rotation import RotationFailure
from services.secrets_manager.secret import FoundSecret, stages_of
from services.secrets_manager.secret_store import SecretStore
from services.secrets_manager.stages import CURRENT, PENDING, PREVIOUS, holder, move

ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
_MADE_WITHIN = timedelta(seconds=60)
_NOTED_WITHIN = timedelta(minutes=10)
"""Uses of keys are written down every five minutes."""


class AccessKeyRotator:
    """Carries out the steps; of setSecret there is nothing left to do, for a key is good from its making."""

    def __init__(self, store: SecretStore, api: AccessKeyApi, clock: Clock) -> None:
        self._store, self._api, self._clock = store, api, clock

    async def carry_out(self, step: str, found: FoundSecret, token: str) -> None:
        """Raises RotationFailure."""
        steps = {"createSecret": self._create, "testSecret": self._test, "finishSecret": self._finish}
        try:
            if step in steps:
                await steps[step](found, token)
        except AwsError as error:
            raise RotationFailure(error.message) from error
        except CallFault as fault:
            raise RotationFailure(str(fault)) from fault

    async def _create(self, found: FoundSecret, token: str) -> None:
        if found.has_value(token):
            return
        value = await self._value(found, found.current)
        pair = _pair_of(value)
        await self._make_room(found, token, pair)
        found = await self._store.note_attempt(found, token)
        made = await self._api.create(pair)
        content = json.dumps({**value, ID: made.id, SECRET: made.secret}).encode()
        await self._store.put(found, token, SecretValue(content), (PENDING,))

    async def _make_room(self, found: FoundSecret, token: str, pair: KeyPair) -> None:
        """Raises RotationFailure for a second key that somebody else may be using."""
        previous = await self._previous(found)
        for other in [each for each in await self._api.keys(pair) if each.id != pair.id]:
            if other.id != previous and other.active and not await self._is_lost(found, token, pair, other):
                raise RotationFailure(
                    f"the user has a second active access key, {other.id}, which is not the previous one of this "
                    "secret; deactivate or delete it"
                )
            if other.active:
                await self._api.deactivate(pair, other.id)
            await self._api.delete(pair, other.id)

    async def _is_lost(self, found: FoundSecret, token: str, pair: KeyPair, other: AccessKey) -> bool:
        """Whether this rotation made it, and nobody ever learned its secret. Raises RotationFailure while that cannot
        be told yet.
        """
        pending = found.version(token)
        set_out = pending.attempted_at if pending is not None else None
        if set_out is None or other.created_at is None:
            return False
        if not set_out.replace(microsecond=0) <= other.created_at <= set_out + _MADE_WITHIN:
            return False
        if await self._api.was_used(pair, other.id):
            return False
        if self._clock.now() < other.created_at + _NOTED_WITHIN:
            raise RotationFailure(
                f"the access key {other.id} was made as this rotation was interrupted; it is deleted when nobody "
                "used it for ten minutes"
            )
        return True

    async def _previous(self, found: FoundSecret) -> str:
        """The id of the key in the previous version; empty where there is none."""
        version = holder(stages_of(found.versions), PREVIOUS)
        if version is None or not found.has_value(version):
            return ""
        return str((await self._value(found, version)).get(ID, ""))

    async def _test(self, found: FoundSecret, token: str) -> None:
        new = await self._api.identity(_pair_of(await self._value(found, token)))
        if found.current != token:
            old = await self._api.identity(_pair_of(await self._value(found, found.current)))
            if new != old:
                raise RotationFailure("the new access key is another user's than the current one")

    async def _finish(self, found: FoundSecret, token: str) -> None:
        if found.current != token:
            await self._store.restage(found, lambda stages: move(stages, CURRENT, holder(stages, CURRENT), token))

    async def _value(self, found: FoundSecret, version: str | None) -> dict[str, Any]:
        if version is None:
            raise RotationFailure("there is no such version")
        value = await self._store.value(found, version, None)
        try:
            read = json.loads(value.content)
        except ValueError:
            read = None
        if not isinstance(read, dict):
            raise RotationFailure("the value is no JSON object")
        return read


def _pair_of(value: dict[str, Any]) -> KeyPair:
    """Raises RotationFailure naming the member."""
    for name in (ID, SECRET):
        text = value.get(name)
        if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
            raise RotationFailure(f"{name}: must be an ASCII text, half of an access key of a user of this account")
    if not value[ID].startswith("AKIA"):
        raise RotationFailure(f"{ID}: must be the access key of a user (AKIA...), not of a session")
    return KeyPair(value[ID], value[SECRET])
