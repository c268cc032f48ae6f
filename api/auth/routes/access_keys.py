"""/auth/access-keys: the AWS key pairs of oneself; for admins, those of anybody.

A secret is told once, to whoever made the key. Services ask for their callers where their manifest says so.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request

from api.auth.access_keys import KeyInfo
from api.auth.accounts import Accounts
from api.auth.authentication import Authenticator
from api.auth.authorizer import Action
from api.auth.principal import MASTERS, Principal
from api.auth.temporary_credentials import require_lasting
from crds.errors import Forbidden
from crds.kind import GROUP
from crds.kinds.access_key import ACCESS_KEY
from crds.model import Model, rfc3339

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PATCH": "update", "DELETE": "delete"}
_ADMINS = frozenset({"aerekos:admin", MASTERS})


class NewState(Model):
    state: Literal["Active", "Inactive"]


def access_key_routes(accounts: Accounts, authenticator: Authenticator) -> APIRouter:
    """The router, with everything it needs bound in."""
    router, keys = APIRouter(prefix="/auth/access-keys"), accounts.access_keys

    async def authenticate(request: Request) -> Principal:
        who = authenticator.authenticate(request.scope)
        authenticator.require_acting(who, Action(_VERBS[request.method], GROUP, ACCESS_KEY.plural))
        require_lasting(who)
        return who

    Who = Annotated[Principal, Depends(authenticate)]

    @router.get("")
    async def all_keys(asker: Who, user: str | None = None) -> dict[str, Any]:
        return {"accessKeys": [_told(each) for each in keys.of(_about(asker, user))]}

    @router.post("", status_code=201)
    async def create(asker: Who, user: str | None = None) -> dict[str, Any]:
        """The only answer with a secret in it: to its owner, or to the admin who makes it for somebody."""
        made = await keys.create(_about(asker, user), by=asker.name)
        return {**_told(made), "secretAccessKey": made.pair.secret}

    @router.patch("/{key_id}")
    async def set_state(key_id: str, body: NewState, asker: Who, user: str | None = None) -> dict[str, Any]:
        changed = await keys.set_state(_about(asker, user), key_id, body.state, by=asker.name)
        return _told(changed) if changed else {}

    @router.delete("/{key_id}", status_code=204)
    async def delete(key_id: str, asker: Who, user: str | None = None) -> None:
        await keys.set_state(_about(asker, user), key_id, "Deleted", by=asker.name)

    return router


def _about(asker: Principal, name: str | None) -> str:
    if name is not None and name != asker.name and _ADMINS.isdisjoint(asker.groups):
        raise Forbidden(f'User "{asker.name}" may ask only about themselves')
    return name or asker.name


def _told(key: KeyInfo) -> dict[str, Any]:
    return {
        "accessKeyId": key.pair.id,
        "state": key.state,
        "createdAt": rfc3339(key.created_at) if key.created_at else None,
        "lastUsedAt": rfc3339(key.last_used_at) if key.last_used_at else None,
        "lastUsedService": key.last_used_service,
    }
