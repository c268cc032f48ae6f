"""Makes DB instances with the password they are to have: chosen, or that of whose data they begin with."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from crds.errors import ApiError
from services.db_manager.credentials import new_password, password_of
from services.db_manager.kinds import DatabaseSpec
from services.db_manager.rds import errors
from services.db_manager.rds.instance import FoundInstance
from services.db_manager.rds.instance_store import InstanceStore
from services.db_manager.rds.master_secret import MasterSecrets
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext
from services.sdk.resources import Resources


class InstanceMaker:
    """One per process."""

    def __init__(self, store: InstanceStore, passwords: MasterSecrets) -> None:
        self._store, self._passwords = store, passwords
        self._creating: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def made(
        self,
        call: RequestContext,
        acting: Resources,
        identifier: str,
        spec: DatabaseSpec,
        password: str | FoundInstance | None,
    ) -> FoundInstance:
        """One at a time of a name: the password of another would take the place of the first one's. `password`: that
        of an instance is taken over; without one, it is a new one. Raises AwsError, ApiError.
        """
        if isinstance(password, FoundInstance):
            password = password_of(await self._passwords.secret_of(password.database))
        async with self._creating.setdefault((call.namespace, identifier), asyncio.Lock()):
            if await self._store.is_taken(call, identifier):
                raise errors.instance_exists()
            secret = await self._passwords.prepare(call.namespace, identifier, password or new_password())
            try:
                return await self._store.create(call, acting, identifier, spec)
            except (AwsError, ApiError) as error:
                if _is_refusal(error):
                    await self._passwords.forget(secret, identifier)
                raise


def _is_refusal(error: AwsError | ApiError) -> bool:
    """Whether nothing was made for sure; an answer that did not come may have been a yes."""
    status = error.status if isinstance(error, AwsError) else error.code
    return status < 500
