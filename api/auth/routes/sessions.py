"""/auth, for people: logging in and out, sessions, passwords, who one is, and the keys for AWS tools."""

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import Field

from api.audit.notes import noting_refused_login
from api.auth.accounts import Accounts, TokenPair
from api.auth.authentication import WHO, Authenticator
from api.auth.password_policy import MOST_CHARACTERS
from api.auth.principal import MASTERS, Principal
from api.auth.sessions import MUST_CHOOSE
from api.cookies import KEY_HEADER, RefreshCookie, require_own_page
from crds.errors import Forbidden, NotFound, Unauthorized
from crds.kinds.session import Session
from crds.model import Model, rfc3339

# Any region is accepted. Told is one in which AWS tools sign links with version 4: in the oldest ones some use 2.
REGION = "eu-central-1"
_ADMINS = frozenset({"aerekos:admin", MASTERS})
Key = Annotated[str, Header(alias=KEY_HEADER)]


class Login(Model):
    """`cookie`: a browser's refresh token goes into a cookie no script can read, not into the answer, which has a
    `refreshKey` instead: the cookie is worth nothing without it. `code`: of the second factor, where there is one;
    the reason of the refusal says so (TotpRequired, TotpInvalid, TotpEnrolmentRequired).
    """

    username: Annotated[str, Field(max_length=253)]
    password: Annotated[str, Field(max_length=1024)]
    cookie: bool = False
    code: Annotated[str, Field(max_length=64)] = ""


class Refresh(Model):
    """Without a token, the one in the cookie is used."""

    refresh_token: str | None = None


class SignOut(Model):
    """Without a name: oneself."""

    username: str | None = None


class NewPassword(Model):
    """`current` is asked of people who change their own. `oneTime`: good for choosing another one, for a week."""

    username: str
    password: Annotated[str, Field(max_length=MOST_CHARACTERS)]
    one_time: bool = False
    current: Annotated[str, Field(max_length=1024)] = ""


def session_routes(accounts: Accounts, authenticator: Authenticator, cookie: RefreshCookie) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/auth")

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    Who = Annotated[Principal, Depends(authenticate)]

    @router.post("/login")
    async def login(body: Login, request: Request, response: Response) -> dict[str, object]:
        if body.cookie:
            require_own_page(request.headers)
        address, agent = address_of(request), request.headers.get("user-agent", "")
        with noting_refused_login(request.scope, body.username, accounts.people.user):
            pair = await accounts.log_in(
                body.username, body.password, code=body.code, browser=body.cookie, address=address, agent=agent
            )
        # Noted in the audit log. Not before: people type their password where their name belongs.
        request.scope[WHO] = Principal(body.username, frozenset())
        return told_pair(pair, cookie, response if body.cookie else None)

    @router.post("/refresh", response_model=None)
    async def refresh(
        body: Refresh, request: Request, response: Response, key: Key = ""
    ) -> dict[str, object] | Response:
        """A browser that was never logged in asks too, at each first visit: that is no fault, but 204."""
        if body.refresh_token:
            return told_pair(await accounts.refresh(body.refresh_token, key), cookie)
        require_own_page(request.headers)
        kept = cookie.read(request)
        if not kept and not key:
            return Response(status_code=204)
        if not kept or not key:
            raise Unauthorized(f"nobody is logged in here; send a refreshToken, or the cookie with {KEY_HEADER}")
        return told_pair(await accounts.refresh(kept, key), cookie, response)

    @router.post("/logout", status_code=204)
    async def logout(request: Request, response: Response, body: Refresh | None = None, key: Key = "") -> None:
        """The session of whatever was sent; without any, only the cookie goes."""
        cookie.take_away(response)
        for sid, name in _sessions_of(request, body, cookie.read(request) if key else None):
            await accounts.sessions.end(sid, by=name)

    def _sessions_of(request: Request, body: Refresh | None, kept: str | None) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        if "authorization" in request.headers:
            with suppress(Unauthorized, Forbidden):
                asker = authenticator.authenticate(request.scope)
                found.add((asker.session, asker.name))
        for token in (body.refresh_token if body else None, kept):
            with suppress(Unauthorized):
                claims = accounts.sessions.claims(token) if token else {"sid": "", "sub": ""}
                found.add((str(claims["sid"]), str(claims["sub"])))
        return {each for each in found if each[0]}

    @router.post("/logout-all", status_code=204)
    async def logout_all(response: Response, asker: Who, body: SignOut | None = None) -> None:
        name = _about(asker, body.username if body else None)
        cookie.take_away(response)
        await accounts.sign_out(name, by=asker.name)

    @router.get("/sessions")
    async def sessions(asker: Who, user: str | None = None) -> dict[str, Any]:
        found = accounts.sessions.of(_about(asker, user))
        return {"sessions": [_told(session, session.metadata.name == asker.session) for _, session in found]}

    @router.delete("/sessions/{sid}", status_code=204)
    async def end_session(sid: str, asker: Who) -> None:
        found = accounts.sessions.find(sid)
        if found is None or (found[1].spec.user != asker.name and _ADMINS.isdisjoint(asker.groups)):
            raise NotFound(f"there is no session {sid} of yours")
        await accounts.sessions.end(sid, by=asker.name)

    @router.post("/password", status_code=204)
    async def password(body: NewPassword, request: Request, asker: Who) -> None:
        if body.username == asker.name:
            await accounts.first_factor(asker.name, body.current, address_of(request))
        elif asker.proof is not None and asker.proof.restricted:
            raise Forbidden(MUST_CHOOSE)  # also an admin, who may set those of others afterwards
        elif _ADMINS.isdisjoint(asker.groups):
            raise Forbidden(f'User "{asker.name}" may change only their own password')
        await accounts.set_password(body.username, body.password, one_time=body.one_time, by=asker.name)

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


def _about(asker: Principal, name: str | None) -> str:
    """Whom the asker asks about. Raises Forbidden: only admins ask about others."""
    if name is not None and name != asker.name and _ADMINS.isdisjoint(asker.groups):
        raise Forbidden(f'User "{asker.name}" may ask only about themselves')
    return name or asker.name


def _told(session: Session, current: bool) -> dict[str, Any]:
    spec, made = session.spec, session.metadata.creation_timestamp
    return {
        "id": session.metadata.name,
        "current": current,
        "createdAt": rfc3339(made) if made else None,
        "refreshedAt": rfc3339(spec.refreshed_at),
        "expiresAt": rfc3339(spec.expires_at),
        "from": spec.address,
        "userAgent": spec.user_agent,
    }


def address_of(request: Request) -> str:
    """The address the request came from."""
    return request.client.host if request.client else ""


def told_pair(pair: TokenPair, cookie: RefreshCookie, browser: Response | None = None) -> dict[str, object]:
    """The answer to a login; with `browser`, the refresh token leaves as its cookie instead."""
    told: dict[str, object] = {
        "accessToken": pair.access_token,
        "expiresIn": pair.expires_in,
        "tokenType": "Bearer",
    }
    if pair.restricted:
        told["passwordChangeRequired"] = True
    if browser is None:
        return {**told, "refreshToken": pair.refresh_token}
    cookie.keep(browser, pair.refresh_token)
    return {**told, "refreshKey": pair.key} if pair.key else told
