"""Rotation of a user's access key. The key in the secret makes the next one: no right is needed that the secret does
not have, and nobody's key but its own user's is touched.

The value is JSON with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`; other members stay as they are. A user has two
keys at most, the current one and the previous one: who read the secret before goes on with what they have until the
next rotation, which deactivates and deletes the previous key before it makes another.

A key that was made while this process was killed, before its secret was stored, is nobody's: the next try deletes it.
It is told by its date, which is no earlier than the pending version's, and by that it was never used.
"""

from __future__ import annotations

import json
from typing import Any

from services.sdk.aws.errors import AwsError
from services.sdk.aws.role_calls import CallFault, KeyPair
from services.secrets_manager.access_key_api import AccessKey, AccessKeyApi
from services.secrets_manager.envelope import SecretValue
from services.secrets_manager.rotation import RotationFailure
from services.secrets_manager.secret import FoundSecret, stages_of
from services.secrets_manager.secret_store import SecretStore
from services.secrets_manager.stages import CURRENT, PENDING, PREVIOUS, holder, move

ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


class AccessKeyRotator:
    """Carries out the steps; of setSecret there is nothing left to do, for a key is good from its making."""

    def __init__(self, store: SecretStore, api: AccessKeyApi) -> None:
        self._store, self._api = store, api

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
        pending = found.version(token)
        began = pending.created_at.replace(microsecond=0) if pending is not None else None
        return began is not None and other.created_at >= began and not await self._api.was_used(pair, other.id)

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
