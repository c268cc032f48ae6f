"""POST /auth/certificates: a managed service's instance gets the certificate it serves with, for its own Service."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from api.auth.authentication import Authenticator
from api.tls import INSTANCE_SECONDS, CertificateAuthority
from controller.kit.clock import Clock
from crds.errors import Forbidden, Invalid
from crds.model import Model


class CertificateWanted(Model):
    """`request`: a PKCS #10 certificate signing request, PEM."""

    request: Annotated[str, Field(max_length=16_384)]


def certificate_routes(authority: CertificateAuthority, authenticator: Authenticator, clock: Clock) -> APIRouter:
    """The router, with everything it needs bound in."""
    router = APIRouter(prefix="/auth")

    @router.post("/certificates")
    async def certificates(body: CertificateWanted, request: Request) -> dict[str, object]:
        who = authenticator.authenticate(request.scope)
        if not who.service or who.acting:
            raise Forbidden("only managed services get certificates here, each for itself")
        try:
            signed = authority.for_instance(body.request.encode(), who.service, "default", clock.now())
        except ValueError as refused:
            raise Invalid(f"the request cannot be signed: {refused}") from refused
        return {"certificate": signed.decode(), "expiresIn": INSTANCE_SECONDS}

    return router
