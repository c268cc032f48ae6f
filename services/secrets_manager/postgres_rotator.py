"""Rotation of PostgreSQL users by AWS's two strategies. Each changes their own password: no right is needed that the
secret does not have.

    a single user      the password is another one from that moment on
    alternating users  the secret holds two logins of the same rights, the current one and the previous one; the
                       previous user gets a new password and becomes the current one. Who read the secret before goes
                       on with what they have until the next rotation

The value is AWS's JSON: `{"engine": "postgres", "host": ..., "username": ..., "password": ..., "dbname": ..., "port":
...}`. `host` is the name of a Service with the engine postgresql in the secret's namespace, and nothing else is
connected to: whoever writes a value does not choose an address of the network.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from crds.errors import NotFound
from crds.kinds.service import SERVICE
from crds.names import label_fault
from services.sdk.aws.errors import AwsError
from services.sdk.postgres import PostgresConnection, PostgresError, quoted_name, verifier_of
from services.sdk.resources import Resources
from services.secrets_manager.envelope import SecretValue
from services.secrets_manager.passwords import classes_of, random_password
from services.secrets_manager.rotation import RotationFailure
from services.secrets_manager.secret import FoundSecret, stages_of
from services.secrets_manager.secret_store import SecretStore
from services.secrets_manager.stages import CURRENT, PENDING, PREVIOUS, holder, move

_ENGINES = ("postgres", "postgresql")
_EXCLUDED = "/@\"'\\:"
_LENGTH = 32


class Login(NamedTuple):
    """What a value says of a user and their database."""

    service: str
    username: str
    password: str
    database: str


class EngineFinder:
    """Where the databases of a namespace are. `own`: the service's own resources. What it says of a failure has
    nothing of the value in it, which names the Service.
    """

    def __init__(self, own: Resources) -> None:
        self._own = own

    async def address(self, service: str, namespace: str) -> tuple[str, int]:
        """Raises RotationFailure."""
        try:
            found = await self._own.get(SERVICE, service, namespace) if not label_fault(service) else None
        except NotFound:
            found = None
        if found is None or found.spec.engine is None or found.spec.engine.name != "postgresql":
            raise RotationFailure("host: must be the name of a Service with the engine postgresql of this namespace")
        address = next((each.address for each in found.status.instances if each.ready and each.address), "")
        host, _, port = address.rpartition(":")
        if not port.isdigit():
            raise RotationFailure("the database is not ready")
        return host.strip("[]"), int(port)


class PostgresRotator:
    """A single user. Carries out the steps with the passwords that the secret has, each tried until one is right."""

    _opening: tuple[str, ...] = (CURRENT, PREVIOUS)
    """The labels of the versions whose password may be the one that the database knows."""

    def __init__(self, store: SecretStore, engines: EngineFinder) -> None:
        self._store, self._engines = store, engines

    async def carry_out(self, step: str, found: FoundSecret, token: str) -> None:
        """Raises RotationFailure."""
        steps = {
            "createSecret": self._create,
            "setSecret": self._set,
            "testSecret": self._test,
            "finishSecret": self._finish,
        }
        try:
            await steps[step](found, token)
        except AwsError as error:
            raise RotationFailure(error.message) from error

    async def _create(self, found: FoundSecret, token: str) -> None:
        if found.has_value(token):
            return
        value = await self._successor(found)
        _login_of(value)
        password = random_password(_LENGTH, classes_of(), _EXCLUDED)
        content = json.dumps({**value, "password": password}).encode()
        await self._store.put(found, token, SecretValue(content), (PENDING,))

    async def _successor(self, found: FoundSecret) -> dict[str, Any]:
        """The value that gets a new password. Raises RotationFailure."""
        return await self._value(found, found.current)

    async def _set(self, found: FoundSecret, token: str) -> None:
        pending = _login_of(await self._value(found, token))
        if await self._opens(found, pending):
            return
        for label in self._opening:
            version = holder(stages_of(found.versions), label)
            if version is None or not found.has_value(version):
                continue
            login = _login_of(await self._value(found, version))
            if (login.service, login.username) != (pending.service, pending.username):
                raise RotationFailure("the pending value is of another user or another database")
            if await self._opens(found, login, change_to=pending.password):
                return
        raise RotationFailure("none of the secret's passwords opens the database")

    async def _test(self, found: FoundSecret, token: str) -> None:
        if not await self._opens(found, _login_of(await self._value(found, token))):
            raise RotationFailure("the new password does not open the database")

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

    async def _opens(self, found: FoundSecret, login: Login, change_to: str = "") -> bool:
        """Whether the database takes that password, and then the new one. Raises RotationFailure."""
        host, port = await self._engines.address(login.service, found.namespace)
        try:
            opened = await PostgresConnection.open(
                host, port, login.username, login.password, login.database, application="secrets-manager"
            )
            async with opened as connection:
                user = quoted_name(login.username)
                await connection.execute(
                    f"ALTER ROLE {user} PASSWORD '{verifier_of(change_to)}'" if change_to else "SELECT 1"
                )
        except PostgresError as error:
            if error.is_wrong_password:
                return False
            raise RotationFailure(f"the database: {error}") from error
        except (OSError, TimeoutError) as error:
            raise RotationFailure("the database cannot be reached") from error
        return True


class AlternatingPostgresRotator(PostgresRotator):
    """Two users in turn. The current one is not touched: what is connected, or connects with it, does so until the
    rotation after this one.

    AWS's function has a superuser, whose secret the value names (`masterarn`), make the second user; here people make
    both, and the secret holds the login of each before its first rotation.
    """

    _opening = (PREVIOUS,)

    async def _successor(self, found: FoundSecret) -> dict[str, Any]:
        current = await self._value(found, found.current)
        if "masterarn" in current:
            raise RotationFailure("masterarn: is of no use here: each user changes their own password; leave it out")
        previous = holder(stages_of(found.versions), PREVIOUS)
        if previous is None or not found.has_value(previous):
            raise RotationFailure(_NO_SECOND)
        now, other = _login_of(current), _login_of(await self._value(found, previous))
        if other.service != now.service or other.username == now.username:
            raise RotationFailure(_NO_SECOND)
        return {**current, "username": other.username, "password": other.password}


_NO_SECOND = (
    "the previous version must be the login of a second user of the same database: put theirs with PutSecretValue, "
    "and then the first one's again"
)


def _login_of(value: dict[str, Any]) -> Login:
    """Raises RotationFailure naming the member."""
    if value.get("engine") not in _ENGINES:
        raise RotationFailure("engine: must be postgres")
    for name in ("host", "username", "password"):
        text = value.get(name)
        if not isinstance(text, str) or not text or "\x00" in text or not text.isascii():
            raise RotationFailure(f"{name}: must be an ASCII text")
    database = value.get("dbname") or "postgres"
    if not isinstance(database, str) or "\x00" in database:
        raise RotationFailure("dbname: must be a text")
    return Login(value["host"], value["username"], value["password"], database)
