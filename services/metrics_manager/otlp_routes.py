"""`POST /v1/metrics`: where OpenTelemetry's SDKs and collectors send metrics (OTLP over HTTP, protobuf)."""

from __future__ import annotations

from crds.errors import UnsupportedMedia
from services.metrics_manager import otlp
from services.metrics_manager.kinds import SCRAPE_TARGET
from services.metrics_manager.store.sample_store import SampleStore
from services.metrics_manager.taking import keep
from services.sdk.asgi import media_type
from services.sdk.context import ServiceContext
from services.sdk.packed_bodies import unpacked
from services.sdk.routes import Request, Response, route

_MOST = 4 << 20
_PROTOBUF = "application/x-protobuf"


class OtlpRoutes:
    """One route."""

    def __init__(self, context: ServiceContext, store: SampleStore) -> None:
        self._context, self._store = context, store

    @route("POST", "/v1/metrics", permission=("create", SCRAPE_TARGET), raw=True)
    async def metrics(self, request: Request) -> Response:
        """200 once all that is kept is durable. Who may create ScrapeTargets in one namespace alone writes there."""
        body = _body(request)
        kind, review = SCRAPE_TARGET, self._context.authorizer
        everywhere = await review.allows(request.caller, "create", kind.plural, kind.group, "", "")
        translated = otlp.samples_of(body, {} if everywhere else {"namespace": request.namespace})
        now = round(self._context.clock.now().timestamp() * 1000)
        await keep(self._store, translated.samples, now, "a point")
        return Response(otlp.answer_of(translated), content_type=_PROTOBUF)


def _body(request: Request) -> bytes:
    """Raises UnsupportedMedia, BadRequest, TooLarge."""
    sent = media_type(request.headers.get("content-type"))
    if sent != _PROTOBUF:
        raise UnsupportedMedia(f"OTLP is taken as {_PROTOBUF}, not as {sent or 'a body without a type'}")
    return unpacked(bytes(request.body), request.headers.get("content-encoding", "identity"), _MOST)
