"""The Secret `<name>-credentials`: all that a client needs.

Made with a password of ours where there is none. Who makes it first, with a `password`, chooses it; who changes or
deletes it has the database learn another one. It belongs to its Database or DatabaseUser and goes with it.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any
from urllib.parse import quote

from crds.errors import AlreadyExists, Conflict, NotFound
from crds.kind import Kind, KubeObject
from crds.kinds.secret import SECRET, Secret
from services.db_manager.conditions import DatabaseReason
from services.db_manager.kinds import Endpoint
from services.db_manager.names import credentials_secret
from services.db_manager.owned import belongs_to, name_taken, owner_of
from services.sdk.reconcile import Temporary
from services.sdk.resources import Resources

_BYTES = 24
LOOK_AGAIN_SECONDS = 15.0
"""Nobody tells us of a Secret that was corrected."""


def new_password() -> str:
    """192 random bits, of signs that need no quotes anywhere."""
    return secrets.token_urlsafe(_BYTES)


def connection_facts(
    endpoint: Endpoint, username: str, password: str, database: str, scheme: str = "postgresql"
) -> dict[str, str]:
    """The keys of the Secret. `uri` is libpq's, which psql, psycopg, asyncpg and SQLAlchemy take; with the scheme
    `redis`, as redis-cli, redis-py and celery take it.
    """
    where = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    user, name = quote(username, safe=""), quote(database, safe="")
    return {
        "host": endpoint.host,
        "port": str(endpoint.port),
        "username": username,
        "password": password,
        "database": database,
        "uri": f"{scheme}://{user}:{quote(password, safe='')}@{where}:{endpoint.port}/{name}",
    }


class CredentialsSecret:
    """The Secret of one kind of owner. `own`: the service's own resources."""

    def __init__(self, own: Resources, kind: Kind[Any]) -> None:
        self._own, self._kind = own, kind

    async def ensured(self, owner: KubeObject) -> Secret:
        """The Secret, which is made if there is none. Raises Temporary."""
        there = await self._read(owner)
        if there is not None:
            return there
        try:
            return await self._own.create(SECRET, self._new(owner, {"password": new_password()}))
        except AlreadyExists as error:
            raise Temporary("the Secret with the credentials was made meanwhile", after=0.2) from error

    async def complete(
        self, owner: KubeObject, there: Secret, facts: dict[str, str], notes: dict[str, str] | None = None
    ) -> None:
        """Say in it how to connect, and `notes` as its annotations, unless somebody changed it since it was read:
        what they wrote is not written over. Raises Temporary.
        """
        wanted = {name: base64.b64encode(text.encode()).decode() for name, text in facts.items()}
        annotations = {**(there.metadata.annotations or {}), **(notes or {})}
        if there.data == wanted and belongs_to(there, owner) and annotations == (there.metadata.annotations or {}):
            return
        there.data, there.metadata.annotations = wanted, annotations or None
        if not belongs_to(there, owner):
            there.metadata.owner_references = [owner_of(self._kind, owner)]
        try:
            await self._own.replace(SECRET, there)
        except (Conflict, NotFound) as error:
            raise Temporary("the Secret with the credentials was changed meanwhile", after=0.2) from error

    async def _read(self, owner: KubeObject) -> Secret | None:
        name, namespace = credentials_secret(owner.metadata.name), owner.metadata.namespace
        try:
            there = await self._own.get(SECRET, name, namespace)
        except NotFound:
            return None
        if not belongs_to(there, owner) and not chooses_password(there):
            raise name_taken(there)
        return there

    def _new(self, owner: KubeObject, facts: dict[str, str]) -> Secret:
        name = credentials_secret(owner.metadata.name)
        made = SECRET.new(name, namespace=owner.metadata.namespace, string_data=facts)
        made.metadata.owner_references = [owner_of(self._kind, owner)]
        return made


def chooses_password(secret: Secret) -> bool:
    """Whether it was made first, to choose the password: nobody's, with nothing else in it. Any other Secret may be a
    program's, which would lose what it holds.
    """
    return not secret.metadata.owner_references and set(secret.data or ()) == {"password"}


async def superuser_password(own: Resources, secret: str, namespace: str) -> str:
    """The password of a server's superuser, as the engine has made it. Raises Temporary."""
    try:
        return password_of(await own.get(SECRET, secret, namespace))
    except NotFound as error:
        raise Temporary(f"the Secret {secret} with the superuser's password is not there yet", after=1.0) from error


def password_of(secret: Secret) -> str:
    """What it says. Raises Temporary for one that no client could be given."""
    text = base64.b64decode((secret.data or {}).get("password", "")).decode(errors="replace")
    if not 8 <= len(text) <= 128 or not text.isascii() or not text.isprintable():
        text = f"the Secret {secret.metadata.name}: password must be 8 to 128 printable ASCII characters; change it"
        raise Temporary(text, reason=DatabaseReason.INVALID_PASSWORD, after=LOOK_AGAIN_SECONDS)
    return text


def username_in(secret: Secret) -> str:
    """Who it is for; empty while nobody has completed it."""
    return base64.b64decode((secret.data or {}).get("username", "")).decode(errors="replace")
