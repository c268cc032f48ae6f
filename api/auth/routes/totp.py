"""/auth/totp: enrolling, confirming and removing a second factor.

All of it asks for the password again, so that a stolen session cannot take a factor away or add its own; and so that
who must enrol before they may log in can.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from api.audit.notes import noting_refused_login
from api.auth.accounts import Accounts
from api.auth.authentication import WHO, Authenticator
from api.auth.principal import MASTERS, Principal
from crds.errors import Forbidden
from crds.kinds.user import User
from crds.model import Model

_ADMINS = frozenset({"aerekos:admin", MASTERS})
Code = Annotated[str, Field(max_length=64)]


class Proven(Model):
    """A user name and the password that proves it."""

    username: Annotated[str, Field(max_length=253)]
    password: Annotated[str, Field(max_length=1024)]


class Confirm(Proven):
    code: Code


class Removal(Model):
    """Removal of a second factor: one's own with password and code; of another's by an admin, who needs neither."""

    username: Annotated[str, Field(max_length=253)]
    password: Annotated[str, Field(max_length=1024)] = ""
    code: Code = ""


def totp_routes(accounts: Accounts, authenticator: Authenticator) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/auth/totp")
    factors = accounts.factors

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    Who = Annotated[Principal, Depends(authenticate)]

    async def proven(body: Proven, request: Request) -> User:
        with noting_refused_login(request.scope, body.username, accounts.people.user):
            user = await accounts.first_factor(body.username, body.password, _address(request))
        request.scope[WHO] = Principal(user.metadata.name, frozenset())
        return user

    @router.get("")
    async def state(asker: Who) -> dict[str, Any]:
        kept, user = factors.enrolled(asker.name), accounts.user(asker.name)
        return {
            "enrolled": kept is not None,
            "recoveryCodesLeft": len(kept.recovery) if kept else 0,
            "required": bool(user and factors.demanded_of(user)),
        }

    @router.post("")
    async def begin(body: Proven, request: Request) -> dict[str, str]:
        made = await factors.begin(await proven(body, request))
        return {"secret": made.secret, "uri": made.uri}

    @router.post("/confirm")
    async def confirm(body: Confirm, request: Request) -> dict[str, list[str]]:
        return {"recoveryCodes": await factors.confirm(await proven(body, request), body.code)}

    @router.post("/remove", status_code=204)
    async def remove(body: Removal, request: Request, asker: Who) -> None:
        if body.username == asker.name:
            user = await accounts.first_factor(body.username, body.password, _address(request))
            if factors.enrolled(asker.name):
                await factors.check(user, body.code)
        elif _ADMINS.isdisjoint(asker.groups):
            raise Forbidden(f'User "{asker.name}" may remove only their own second factor')
        await factors.remove(body.username, asker.name)

    return router


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
