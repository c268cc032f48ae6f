"""/auth, for people: logging in and out, passwords, who one is, and the keys for AWS tools."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Request, Response
from pydantic import Field

from api.auth.accounts import REFRESH_SECONDS, Accounts, LoggedIn
from api.auth.authenticating import WHO, Authenticator
from api.auth.principal import MASTERS, Principal
from crds.errors import Forbidden, Unauthorized
from crds.model import Model

REGION = "us-east-1"
REFRESH_COOKIE = "aerekos-refresh"


class Login(Model):
    """`cookie`: a browser's refresh token goes into a cookie no script can read, not into the answer."""

    username: Annotated[str, Field(max_length=253)]
    password: Annotated[str, Field(max_length=1024)]
    cookie: bool = False


class Refresh(Model):
    """Without a token, the one in the cookie is used."""

    refresh_token: str | None = None


class NewPassword(Model):
    """`current` is asked of people who change their own."""

    username: str
    password: Annotated[str, Field(min_length=8, max_length=1024)]
    current: Annotated[str, Field(max_length=1024)] = ""


def session_routes(accounts: Accounts, authenticator: Authenticator) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/auth")

    async def who(request: Request) -> Principal:
        return authenticator.who(request.scope)

    Who = Annotated[Principal, Depends(who)]

    @router.post("/login")
    async def login(body: Login, request: Request, response: Response) -> dict[str, object]:
        pair = await accounts.log_in(body.username, body.password)
        # Noted in the audit log. Not before: people type their password where their name belongs.
        request.scope[WHO] = Principal(body.username, frozenset())
        return _pair(pair, response if body.cookie else None)

    @router.post("/refresh")
    async def refresh(
        body: Refresh, response: Response, kept: Annotated[str | None, Cookie(alias=REFRESH_COOKIE)] = None
    ) -> dict[str, object]:
        if body.refresh_token:
            return _pair(accounts.refresh(body.refresh_token))
        if not kept:
            raise Unauthorized("nobody is logged in here; send a refreshToken")
        return _pair(accounts.refresh(kept), response)

    @router.post("/logout", status_code=204)
    async def logout(response: Response) -> None:
        response.delete_cookie(REFRESH_COOKIE, path="/auth", secure=True, httponly=True, samesite="strict")

    @router.post("/password", status_code=204)
    async def password(body: NewPassword, asker: Who) -> None:
        if body.username == asker.name:
            await accounts.log_in(asker.name, body.current)
        elif not {"aerekos:admin", MASTERS} & asker.groups:
            raise Forbidden(f'User "{asker.name}" may change only their own password')
        await accounts.set_password(body.username, body.password, one_time=False, by=asker.name)

    @router.get("/whoami")
    async def whoami(asker: Who) -> dict[str, object]:
        return {"name": asker.name, "groups": sorted(asker.groups), "namespace": asker.namespace}

    @router.get("/access-key")
    async def access_key(asker: Who) -> dict[str, object]:
        pair = accounts.access_key(asker.name)
        return {
            "accessKeyId": pair.id,
            "secretAccessKey": pair.secret,
            "region": REGION,
            "namespace": asker.namespace,
        }

    return router


def _pair(pair: LoggedIn, browser: Response | None = None) -> dict[str, object]:
    """The answer to a login; with `browser`, the refresh token leaves as its cookie instead."""
    told: dict[str, object] = {
        "accessToken": pair.access_token,
        "expiresIn": pair.expires_in,
        "tokenType": "Bearer",
    }
    if browser is None:
        return {**told, "refreshToken": pair.refresh_token}
    browser.set_cookie(
        REFRESH_COOKIE,
        pair.refresh_token,
        max_age=REFRESH_SECONDS,
        path="/auth",
        secure=True,
        httponly=True,
        samesite="strict",
    )
    return told
