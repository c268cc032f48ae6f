"""Messages of others: proven, written down, and answered; then they go where their source says.

Anybody may post here: a source that is not there and a message that is not proven get the same answer.
"""

from __future__ import annotations

import logging

import orjson

from crds.errors import ApiError, NotFound, TooLarge, Unauthorized, UnsupportedMedia
from services.sdk.resources import Clock, Resources
from services.sdk.routes import Request, Response, route
from services.webhook_manager.directory import Directory
from services.webhook_manager.message import Draft
from services.webhook_manager.message_store import Taken
from services.webhook_manager.metrics import WebhookMetrics
from services.webhook_manager.names import INBOUND
from services.webhook_manager.outbox import Outbox
from services.webhook_manager.signing_secrets import secrets_of_source
from services.webhook_manager.source_kinds import WebhookSource
from services.webhook_manager.verification import Incoming, NotProven, verified

MOST_BYTES_FOR_QUEUES = 250_000
"""A message of a queue has 256 KiB, its attributes among them."""
_REFUSED = "the message is not proven to be from a source that is known here"
_FRESH_SECONDS = 10.0
log = logging.getLogger("webhook_manager")


class InboundRoutes:
    """`own`: the service's own resources: whoever posts has no rights here."""

    def __init__(
        self, directory: Directory, own: Resources, outbox: Outbox, clock: Clock, metrics: WebhookMetrics
    ) -> None:
        self._directory, self._own, self._outbox = directory, own, outbox
        self._clock, self._metrics = clock, metrics
        self._secrets: dict[str, tuple[list[str], float]] = {}

    @route("POST", f"{INBOUND}{{namespace}}/{{name}}", permission=None, raw=True)
    async def take(self, request: Request) -> Response:
        """202 once it is durable, also for one that came before."""
        try:
            source, incoming = await self._proven(request)
        except (NotProven, NotFound):
            self._metrics.count_received("refused")
            raise Unauthorized(_REFUSED) from None
        if incoming.type == "url_verification":
            self._metrics.count_received("challenge")
            return Response(orjson.dumps({"challenge": incoming.challenge}))
        taken = await self._put(source, incoming, request)
        self._metrics.count_received("taken" if taken is Taken.ADDED else "known")
        return Response(orjson.dumps({"id": incoming.id}), 202)

    async def _proven(self, request: Request) -> tuple[WebhookSource, Incoming]:
        """Raises NotProven, NotFound, and ApiError where that cannot be told now: then it is sent again."""
        name, namespace = request.parameters["name"], request.parameters["namespace"]
        source = self._directory.sources.get(name, namespace)
        if source is None or not source.spec.enabled:
            raise NotProven
        secrets = await self._secrets_of(source)
        return source, verified(
            source.spec.provider, request.headers, request.body, secrets, self._clock.now().timestamp()
        )

    async def _secrets_of(self, source: WebhookSource) -> list[str]:
        """Remembered for some seconds, and while the conductor is away: what anybody posts must not ask it."""
        key = f"{source.metadata.uid}/{source.spec.secret_name}"
        known, now = self._secrets.get(key), self._clock.monotonic()
        if known is not None and now < known[1]:
            return known[0]
        try:
            found = await secrets_of_source(
                self._own, source.spec.secret_name, source.metadata.namespace or "default"
            )
        except NotFound:
            found = []
        except ApiError:
            if known is None:
                raise
            return known[0]
        self._secrets[key] = (found, now + _FRESH_SECONDS)
        return found

    async def _put(self, source: WebhookSource, incoming: Incoming, request: Request) -> Taken:
        """Raises ApiError."""
        content = request.body
        headers = {"content-type": request.headers.get("content-type", "application/octet-stream")[:200]}
        receiver = source.metadata.uid or ""
        if source.spec.queue is not None:
            _require_text(content)
        else:
            found = await self._directory.endpoint(source.spec.endpoint, source.metadata.namespace or "default")
            receiver = found.metadata.uid or ""
        draft = Draft(receiver, incoming.id, incoming.type, headers, content)
        return (await self._outbox.put([draft], is_news=False))[0]


def _require_text(content: bytes) -> None:
    """Raises ApiError for what no message of a queue can be."""
    if len(content) > MOST_BYTES_FOR_QUEUES:
        raise TooLarge(f"a message for a queue has at most {MOST_BYTES_FOR_QUEUES} bytes")
    try:
        content.decode()
    except UnicodeDecodeError:
        raise UnsupportedMedia("a message for a queue is UTF-8") from None
