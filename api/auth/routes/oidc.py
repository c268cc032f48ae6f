"""/auth/oidc: where to log in instead of here, and what to do with the ID token one comes back with."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.auth.authentication import WHO, Authenticator
from api.auth.oidc.options import OidcOptions
from api.auth.principal import Principal
from api.auth.routes.sessions import address_of, told_pair
from api.cookies import RefreshCookie, require_own_page
from crds.errors import NotFound, Unauthorized
from crds.model import Model

SCOPES = ("openid", "profile", "email")


class IdToken(Model):
    """`cookie`: as at a login by password."""

    id_token: Annotated[str, Field(max_length=16 * 1024)]
    cookie: bool = False


def oidc_routes(options: OidcOptions | None, authenticator: Authenticator, cookie: RefreshCookie) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/auth/oidc")

    @router.get("")
    async def issuer() -> dict[str, object]:
        if options is None:
            raise NotFound("this cloud trusts no OpenID Connect issuer")
        return {"issuer": options.issuer, "clientId": options.client_id, "scopes": list(SCOPES)}

    @router.post("")
    async def login(body: IdToken, request: Request, response: Response) -> dict[str, object]:
        federation = authenticator.federation
        if federation is None:
            raise Unauthorized("this cloud trusts no OpenID Connect issuer")
        if body.cookie:
            require_own_page(request.headers)
        agent = request.headers.get("user-agent", "")
        pair, name = await federation.log_in(
            body.id_token, browser=body.cookie, address=address_of(request), agent=agent
        )
        request.scope[WHO] = Principal(name, frozenset())
        return {**told_pair(pair, cookie, response if body.cookie else None), "username": name}

    return router
