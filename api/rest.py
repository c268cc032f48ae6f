"""The FastAPI application behind the app: /auth, /agents, /logs. Its errors are Status objects too."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from api.audit.notes import notes_of
from api.auth.authentication import Authenticator
from api.auth.authorizer import Action, Authorizer
from api.auth.principal import Principal
from api.kube.views.log_options import LogOptions
from api.log_stream import MOST_LINES, log_lines, previous_lines, search, text_of
from controller.kit.clock import Clock
from controller.resources.registry import Registry
from controller.runtime.driver import Driver
from crds.errors import ApiError, Cause, Invalid, NotFound, from_status
from crds.kind import GROUP
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey

_LONGEST_SEARCH = 1000


def rest_app(routers: Sequence[APIRouter]) -> FastAPI:
    """Without the framework's own documentation pages: they would load scripts from elsewhere."""
    app = FastAPI(title="aerekos", openapi_url=None, docs_url=None, redoc_url=None)
    for router in routers:
        app.include_router(router)

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> JSONResponse:
        if error.code in (401, 403):
            notes_of(request.scope).reason = error.message
        headers = {"retry-after": str(error.retry_after)} if error.retry_after is not None else None
        return JSONResponse(error.status(), error.code, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        causes = tuple(Cause(_field(fault["loc"]), fault["msg"]) for fault in error.errors())
        told = "; ".join(f"{cause.field}: {cause.message}" for cause in causes)
        return JSONResponse(Invalid(f"the request is invalid: {told}", causes=causes).status(), 422)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        status = from_status(error.status_code, None, fallback=str(error.detail)).status()
        return JSONResponse({**status, "code": error.status_code}, error.status_code)

    return app


def log_routes(
    registry: Registry, driver: Driver, authenticator: Authenticator, authorizer: Authorizer, clock: Clock
) -> APIRouter:
    """GET /logs/{namespace}/{service}: what the instances wrote, by time over all of them.

    With `contains`, the last `tail` of the lines that hold it, out of the newest 100,000; headers of the answer say
    how far that reached. With `previous`, what the one instance wrote before it was started last.
    """
    router = APIRouter(prefix="/logs")

    async def authenticate(request: Request) -> Principal:
        return authenticator.authenticate(request.scope)

    @router.get("/{namespace}/{service}")
    async def logs(
        namespace: str,
        service: str,
        asker: Annotated[Principal, Depends(authenticate)],
        instance: str | None = None,
        tail: Annotated[int, Query(ge=0, le=MOST_LINES)] = 200,
        follow: bool = False,
        contains: Annotated[str, Query(max_length=_LONGEST_SEARCH)] = "",
        since: Annotated[str | None, Query(alias="sinceSeconds")] = None,
        timestamps: bool = False,
        previous: bool = False,
    ) -> Response:
        authorizer.require(asker, Action("get", GROUP, "services/log", namespace, service))
        key = SERVICE.key(service, namespace)
        registry.get(SERVICE, key)
        if instance is not None:
            await _require_instance(driver, key, instance)
        if follow and (contains or previous):
            raise Invalid("contains and previous are about what was written; ask without follow")
        if contains and previous:
            raise Invalid("contains: searches all that is kept; ask without previous")
        asked = {"timestamps": str(timestamps).lower(), **({"sinceSeconds": since} if since is not None else {})}
        choice = LogOptions(asked, clock)
        if previous:
            before = await previous_lines(driver, key, instance)
            return PlainTextResponse(choice.of(text_of(before[-tail:] if tail else [])))
        if contains:
            found, reach = await search(driver, key, instance, contains)
            return PlainTextResponse(choice.of(text_of(found[-tail:] if tail else [])), headers=reach)
        lines = log_lines(driver, key, instance, tail, follow=follow)
        chosen = (choice.of(text) async for text in lines)
        return StreamingResponse(chosen, media_type="text/plain; charset=utf-8")

    return router


async def _require_instance(driver: Driver, key: ObjectKey, instance: str) -> None:
    """Raises NotFound for a name that never was one's. Those that are gone can be read while their log is kept."""
    there = [each.name for each in await driver.observe(key)]
    if instance not in there and not await driver.logs(key, instance, tail=1):
        raise NotFound(f'the service {key.name} has no instance "{instance}"; it has {", ".join(there) or "none"}')


def _field(location: Sequence[Any]) -> str:
    return ".".join(str(part) for part in location if part != "body") or "body"
