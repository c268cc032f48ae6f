"""Secrets and their versions, as they are now: found by any of their names, and changed one write at a time.

A value is stored first, then the one conditional write to the status of its secret makes it a version and moves the
labels. Whoever is killed in between leaves a value that no version names: the same request finds it again, and what
nobody asks for again is swept away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from crds.errors import AlreadyExists, ApiError, Conflict, NotFound
from crds.meta import OwnerReference
from crds.model import rfc3339, rfc3339_micro
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.resource_names import resource_name
from services.sdk.context import ServiceContext
from services.sdk.identity import Caller
from services.secrets_manager import errors
from services.secrets_manager.envelope import Envelope, SecretValue
from services.secrets_manager.key_client import KeyUse, is_own
from services.secrets_manager.kinds import (
    MANAGED_SECRET,
    SECRET_VERSION,
    ManagedSecret,
    SecretVersion,
    SecretVersionSpec,
    VersionStatus,
)
from services.secrets_manager.names import SecretName, meanings_of, record_name
from services.secrets_manager.sealed_values import SealedValues, ValueName
from services.secrets_manager.secret import FoundSecret, stages_of, versions_with
from services.secrets_manager.stages import PENDING, Stages, attach

DEFAULT_ENCRYPTION_KEY = "DefaultEncryptionKey"
MOST_VERSIONS = 100
_KEPT_FOR = timedelta(days=1)
_ATTEMPTS = 16
Change = Callable[[FoundSecret], list[VersionStatus] | None]


def asked_region(call: RequestContext) -> str:
    """The region a signature names; services ask in none, and get secrets of all."""
    return "" if call.caller.service or call.caller.through else call.region


class SecretStore:
    """One per process. It reads and writes as the service itself: whoever calls it has asked for the rights."""

    def __init__(self, context: ServiceContext, envelope: Envelope) -> None:
        self._own, self._clock, self._envelope = context.resources, context.clock, envelope
        self._secrets, self._values = context.informer(MANAGED_SECRET), SealedValues()

    def note(self, secret: ManagedSecret) -> FoundSecret:
        """As it was just written: whoever asks next finds it so."""
        return FoundSecret(self._secrets.put(secret))

    async def find(self, call: RequestContext, secret_id: str) -> FoundSecret | None:
        """By name, ARN, or ARN without its end."""
        for meaning in meanings_of(secret_id):
            if meaning.account in ("", call.account) and (found := await self._named(call, meaning)) is not None:
                return found
        return None

    async def all_of(self, call: RequestContext) -> list[FoundSecret]:
        """The account's, in the region that is asked in."""
        listing = await self._own.list(MANAGED_SECRET, call.namespace)
        found = [FoundSecret(each) for each in listing.items]
        return [each for each in found if each.is_in(asked_region(call))]

    async def read(self, found: FoundSecret) -> FoundSecret | None:
        """The same secret as it is now; None when it has gone."""
        try:
            secret = await self._own.get(MANAGED_SECRET, found.name, found.namespace)
        except NotFound:
            return None
        return FoundSecret(secret) if secret.metadata.uid == found.uid else None

    async def fresh(self, found: FoundSecret) -> FoundSecret:
        """The same secret as it is now. Raises AwsError when it has gone."""
        now = await self.read(found)
        if now is None:
            raise errors.not_found()
        return now

    async def patch_spec(self, found: FoundSecret, spec: dict[str, Any]) -> FoundSecret:
        """With a changed spec."""
        return self.note(await self._own.patch(MANAGED_SECRET, found.name, {"spec": spec}, found.namespace))

    async def value(self, found: FoundSecret, version_id: str, caller: Caller | None) -> SecretValue:
        """What a version holds. Raises AwsError."""
        version = found.version(version_id)
        name = ValueName(found.uid, version_id, version.key if version else "")
        record = self._values.get(name)
        if record is None:
            record = await self._record(found, version_id)
            if record is None:
                raise errors.no_version(version_id)
            if version is not None and version.key == _shown_key(record.spec):
                self._values.put(name, record)
        return await self._envelope.open(_use(found, version_id, caller), record.spec)

    async def put(
        self,
        found: FoundSecret,
        token: str,
        value: SecretValue,
        labels: tuple[str, ...] = (),
        caller: Caller | None = None,
    ) -> FoundSecret:
        """With a version of that id, value and labels. The same twice is the same once; another value under the same
        token is refused. Raises AwsError.
        """
        key = await self._stored(found, token, value, caller)
        if found.has_value(token):
            return found

        def change(now: FoundSecret) -> list[VersionStatus] | None:
            if now.spec.deletion_date is not None:
                raise errors.marked_for_deletion()
            if now.has_value(token):
                return None  # the same request came twice at once
            stages = attach(stages_of(now.versions), token, labels)
            return self._within_limit(versions_with(now.versions, stages, self._clock.now(), {token: key}))

        return await self.change(found, change)

    async def add_pending(self, found: FoundSecret, token: str) -> FoundSecret:
        """With a version that is pending, whose value a rotation has yet to make. Raises AwsError."""

        def change(now: FoundSecret) -> list[VersionStatus] | None:
            if now.version(token) is not None:
                return None
            stages = attach(stages_of(now.versions), token, (PENDING,))
            return self._within_limit(versions_with(now.versions, stages, self._clock.now(), {}))

        return await self.change(found, change)

    async def note_attempt(self, found: FoundSecret, token: str) -> FoundSecret:
        """With the moment at which something outside is about to be made for that version. Raises AwsError."""
        moment = {"attempted_at": self._clock.now()}

        def change(now: FoundSecret) -> list[VersionStatus]:
            return [each.model_copy(update=moment) if each.version_id == token else each for each in now.versions]

        return await self.change(found, change)

    async def patch_status(self, found: FoundSecret, status: dict[str, Any]) -> FoundSecret:
        """With a changed status, if it is what was found. Raises Conflict."""
        patch = {"metadata": {"resourceVersion": found.secret.metadata.resource_version}, "status": status}
        return self.note(
            await self._own.patch(MANAGED_SECRET, found.name, patch, found.namespace, subresource="status")
        )

    async def restage(self, found: FoundSecret, move: Callable[[Stages], Stages]) -> FoundSecret:
        """With labels moved. Raises AwsError."""

        def change(now: FoundSecret) -> list[VersionStatus]:
            return versions_with(now.versions, move(stages_of(now.versions)), self._clock.now(), {})

        return await self.change(found, change)

    async def change(self, found: FoundSecret, change: Change) -> FoundSecret:
        """With other versions, in one write on what is there now; None changes nothing. Raises AwsError."""
        for attempt in range(_ATTEMPTS):
            now = await self.fresh(found) if attempt else found
            versions = change(now)
            if versions is None:
                return now
            try:
                changed = await self._write(now, versions)
            except Conflict:
                continue
            await self._forget(now, {each.version_id for each in versions})
            return changed
        raise AwsError("InternalServiceError", f"{found.label} is changed by others all the time; try again", 503)

    async def note_access(self, found: FoundSecret, version_id: str) -> None:
        """Remember the day on which it was read; a value is answered also where that cannot be written."""
        today = self._clock.now().date()
        if _is_noted(found, version_id, today):
            return
        day = {"accessedOn": rfc3339(datetime.combine(today, time(), UTC))}
        with suppress(ApiError, AwsError):
            for attempt in range(_ATTEMPTS):
                now = await self.fresh(found) if attempt else found
                if _is_noted(now, version_id, today):
                    return
                versions = [each.wire() | (day if each.version_id == version_id else {}) for each in now.versions]
                with suppress(Conflict):
                    await self.patch_status(now, {"versions": versions, **day})
                    return

    async def reseal(self, found: FoundSecret, versions: list[str], key: str, caller: Caller | None) -> FoundSecret:
        """Seal these versions under that key. Each is whole at any moment, under the one key or the other. Raises
        AwsError.
        """
        sealed: dict[str, str] = {}
        for id in versions:
            value = await self.value(found, id, caller)
            spec = await self._envelope.seal(replace(_use(found, id, caller), key=key), found.uid, value)
            await self._own.patch(SECRET_VERSION, record_name(found.uid, id), {"spec": spec.wire()}, found.namespace)
            sealed[id] = _shown_key(spec)

        def change(now: FoundSecret) -> list[VersionStatus]:
            return [each.model_copy(update={"key": sealed.get(each.version_id, each.key)}) for each in now.versions]

        return await self.change(found, change)

    async def delete(self, found: FoundSecret) -> None:
        """With all its versions, at once and for good."""
        await self._own.delete(MANAGED_SECRET, found.name, found.namespace, uid=found.uid)
        self._secrets.drop(found.secret)
        for each in found.versions:
            await self._delete_record(found, each.version_id)

    async def _named(self, call: RequestContext, meaning: SecretName) -> FoundSecret | None:
        region = asked_region(call)
        for name in _possible_names(meaning, region):
            secret = await self._secrets.read(name, call.namespace)
            if secret is None:
                continue
            found = FoundSecret(secret)
            if found.is_meant(meaning) and found.is_in(region):
                return found
        if region:
            return None
        return next((each for each in await self.all_of(call) if each.is_meant(meaning)), None)

    async def _record(self, found: FoundSecret, version_id: str) -> SecretVersion | None:
        try:
            return await self._own.get(SECRET_VERSION, record_name(found.uid, version_id), found.namespace)
        except NotFound:
            return None

    async def _stored(self, found: FoundSecret, token: str, value: SecretValue, caller: Caller | None) -> str:
        """The ARN of the key that the value lies under. Raises AwsError where another one has that token."""
        record = await self._record(found, token)
        if record is None:
            use = _use(found, token, caller)
            spec = await self._envelope.seal(use, found.uid, value)
            resource = SECRET_VERSION.new(record_name(found.uid, token), namespace=found.namespace, spec=spec)
            resource.metadata.owner_references = [_owner(found)]
            try:
                await self._own.create(SECRET_VERSION, resource)
                return _shown_key(spec)
            except AlreadyExists:
                record = await self._own.get(SECRET_VERSION, resource.metadata.name, found.namespace)
        if await self._envelope.open(_use(found, token, caller), record.spec) != value:
            raise errors.token_in_use(token, found.arn)
        return _shown_key(record.spec)

    def _within_limit(self, versions: list[VersionStatus]) -> list[VersionStatus]:
        """Without the oldest that have no label, where there are too many. Raises AwsError."""
        surplus, now = len(versions) - MOST_VERSIONS, self._clock.now()
        kept = []
        for each in versions:
            if surplus > 0 and not each.stages and each.created_at + _KEPT_FOR < now:
                surplus -= 1
            else:
                kept.append(each)
        if surplus > 0:
            rest = "those without a staging label make room a day after their making."
            raise errors.limit(f"A secret can have up to {MOST_VERSIONS} versions; {rest}")
        return kept

    async def _write(self, now: FoundSecret, versions: list[VersionStatus]) -> FoundSecret:
        moment = self._clock.now()
        probe = now.secret.model_copy(deep=True)
        probe.status.versions = versions
        after = FoundSecret(probe)
        status = {
            "arn": now.arn,
            "versions": [each.wire() for each in versions],
            "currentVersion": after.current or "",
            "changedAt": rfc3339_micro(moment),
        }
        patch = {"metadata": {"resourceVersion": now.secret.metadata.resource_version}, "status": status}
        return self.note(await self._own.patch(MANAGED_SECRET, now.name, patch, now.namespace, subresource="status"))

    async def _forget(self, before: FoundSecret, kept: set[str]) -> None:
        for each in before.versions:
            if each.version_id not in kept:
                await self._delete_record(before, each.version_id)

    async def _delete_record(self, found: FoundSecret, version_id: str) -> None:
        with suppress(NotFound):
            await self._own.delete(SECRET_VERSION, record_name(found.uid, version_id), found.namespace)


def _is_noted(found: FoundSecret, version_id: str, day: date) -> bool:
    """Whether there is no read of that day left to write down; of a version that has gone there is none."""
    version = found.version(version_id)
    return version is None or (version.accessed_on is not None and version.accessed_on.date() == day)


def _possible_names(meaning: SecretName, region: str) -> Iterator[str]:
    """What the resource may be called, the likeliest first."""
    yield (first := resource_name(meaning.name, meaning.region or region))
    if (second := resource_name(meaning.name)) != first:
        yield second


def _shown_key(spec: SecretVersionSpec) -> str:
    """As AWS shows what a version is sealed with."""
    return spec.key if is_own(spec.key_id) else DEFAULT_ENCRYPTION_KEY


def _use(found: FoundSecret, version_id: str, caller: Caller | None) -> KeyUse:
    return KeyUse(found.arn, version_id, found.namespace, found.spec.kms_key_id, caller)


def _owner(found: FoundSecret) -> OwnerReference:
    kind = MANAGED_SECRET
    return OwnerReference(api_version=kind.api_version, kind=kind.name, name=found.name, uid=found.uid)
