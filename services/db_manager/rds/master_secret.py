"""The master user's password: in the Secret `<name>-credentials`, which the Database then takes it from.

Whoever may make or change the instance chooses it; the service writes the Secret in its own name, and only one that
is, or will be, the Database's.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from crds.errors import AlreadyExists, NotFound
from crds.kinds.secret import SECRET, Secret
from crds.model import rfc3339
from services.db_manager.credentials import chooses_password
from services.db_manager.kinds import DATABASE, Database
from services.db_manager.names import credentials_secret
from services.db_manager.rds import errors
from services.sdk.aws.errors import AwsError
from services.sdk.resources import Clock, Resources

MADE_FOR = "rds.aerekos.cloud/made-for"
"""Label of a Secret that was made before its instance, and is of no use without it."""
_LONGEST_REQUEST = timedelta(minutes=1)
CHANGED_AT = "rds.aerekos.cloud/password-changed-at"
"""Annotation of a Database: it is looked at at once."""


class MasterSecrets:
    """`own`: the service's own resources."""

    def __init__(self, own: Resources, clock: Clock) -> None:
        self._own, self._clock = own, clock

    async def prepare(self, namespace: str, identifier: str, password: str) -> Secret:
        """Made before its instance, so that this never has another password. Raises AwsError where the name is taken.

        What a request before left behind that broke off is taken away, once that request has surely come to its end.
        """
        name = credentials_secret(identifier)
        made = SECRET.new(name, namespace=namespace, string_data={"password": password})
        made.metadata.labels = {MADE_FOR: identifier}
        for _ in range(2):
            try:
                return await self._own.create(SECRET, made)
            except AlreadyExists:
                await self._remove_left_over(name, namespace, identifier)
        raise _taken(name)

    async def forget(self, made: Secret, identifier: str) -> None:
        """Its instance was refused. Where there is one after all, it may have that password."""
        if not await self._is_there(identifier, made.metadata.namespace):
            with suppress(NotFound):
                await self._own.delete(SECRET, made.metadata.name, made.metadata.namespace, uid=made.metadata.uid)

    async def change(self, database: Database, password: str) -> None:
        """Another password, which the server learns within seconds. Raises AwsError while there is no Secret."""
        there = await self.secret_of(database)
        there.string_data = {"password": password}
        await self._own.replace(SECRET, there)

    async def secret_of(self, database: Database) -> Secret:
        """The one with its password. Raises AwsError while there is none, and where it is somebody else's."""
        name, namespace = credentials_secret(database.metadata.name), database.metadata.namespace
        try:
            there = await self._own.get(SECRET, name, namespace)
        except NotFound:
            raise errors.invalid_state(f"Instance {database.metadata.name} has no password yet") from None
        if not _is_of(there, database):
            raise _taken(name)
        return there

    def noted(self, database: Database) -> None:
        """Have the Database look at its Secret now."""
        annotations = database.metadata.annotations or {}
        database.metadata.annotations = {**annotations, CHANGED_AT: rfc3339(self._clock.now())}

    async def _remove_left_over(self, name: str, namespace: str, identifier: str) -> None:
        try:
            there = await self._own.get(SECRET, name, namespace)
        except NotFound:
            return
        if not await self._is_left_over(there, identifier):
            raise _taken(name)
        await self._own.delete(SECRET, name, namespace, uid=there.metadata.uid)

    async def _is_left_over(self, there: Secret, identifier: str) -> bool:
        """Whether it is of an instance of that name which is no more, or was never made by a request long over."""
        owned = any(
            (each.kind, each.name) == (DATABASE.name, identifier) for each in there.metadata.owner_references or ()
        )
        made = there.metadata.creation_timestamp
        is_old = made is not None and self._clock.now() - made > _LONGEST_REQUEST
        if not owned and not (is_old and _is_prepared(there, identifier)):
            return False
        return not await self._is_there(identifier, there.metadata.namespace)

    async def _is_there(self, identifier: str, namespace: str | None) -> bool:
        try:
            await self._own.get(DATABASE, identifier, namespace)
        except NotFound:
            return False
        return True


def _is_of(secret: Secret, database: Database) -> bool:
    owners = secret.metadata.owner_references or ()
    return any(each.uid == database.metadata.uid for each in owners) or _is_prepared(secret, database.metadata.name)


def _is_prepared(secret: Secret, identifier: str) -> bool:
    return chooses_password(secret) and (secret.metadata.labels or {}).get(MADE_FOR) == identifier


def _taken(name: str) -> AwsError:
    text = f"the Secret {name}, which is to have the password, is there already: delete it, or choose another name"
    return AwsError("DBInstanceAlreadyExists", text)
