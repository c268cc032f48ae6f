"""Messages of others: proven, written down, and answered; then they go where their source says.

Anybody may post here: a source that is not there and a message that is not proven get the same answer.
"""

from __future__ import annotations

import orjson

from crds.errors import NotFound, TooLarge, Unauthorized, UnsupportedMedia
from services.sdk.resources import Clock
from services.sdk.routes import Request, Response, route
from services.webhook_manager.directory import Directory
from services.webhook_manager.message import Draft
from services.webhook_manager.message_store import Taken
from services.webhook_manager.metrics import WebhookMetrics
from services.webhook_manager.names import INBOUND, id_of
from services.webhook_manager.outbox import Outbox
from services.webhook_manager.source_kinds import WebhookSource
from services.webhook_manager.source_secrets import SourceSecrets
from services.webhook_manager.verification import Incoming, NotProven, verified

MOST_BYTES_FOR_QUEUES = 250_000
"""A message of a queue has 256 KiB, its attributes among them."""
_REFUSED = "the message is not proven to be from a source that is known here"
_LONGEST_TYPE = 200


class InboundRoutes:
    """Whoever posts has no rights here."""

    def __init__(
        self, directory: Directory, secrets: SourceSecrets, outbox: Outbox, clock: Clock, metrics: WebhookMetrics
    ) -> None:
        self._directory, self._secrets, self._outbox = directory, secrets, outbox
        self._clock, self._metrics = clock, metrics

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
        draft = await self._draft(source, incoming, request)
        (taken,) = await self._outbox.put([draft], is_news=False)
        self._metrics.count_received("taken" if taken is Taken.ADDED else "known")
        return Response(orjson.dumps({"id": draft.id}), 202)

    async def _proven(self, request: Request) -> tuple[WebhookSource, Incoming]:
        """Raises NotProven, NotFound, and ApiError where that cannot be told now: then it is sent again."""
        name, namespace = request.parameters["name"], request.parameters["namespace"]
        source = self._directory.sources.get(name, namespace)
        if source is None or not source.spec.enabled:
            raise NotProven
        secrets = await self._secrets.of(source)
        return source, verified(
            source.spec.provider, request.headers, request.body, secrets, self._clock.now().timestamp()
        )

    async def _draft(self, source: WebhookSource, incoming: Incoming, request: Request) -> Draft:
        """Raises ApiError."""
        uid, headers = source.metadata.uid or "", {"content-type": _content_type(request)}
        if source.spec.queue is not None:
            _require_text(request.body)
            return Draft(uid, incoming.id, incoming.type, headers, request.body)
        endpoint = await self._directory.endpoint(source.spec.endpoint, source.metadata.namespace or "default")
        # An endpoint has messages of many, who call theirs whatever they like: none takes the place of another's.
        id = id_of(f"{uid}\x00{incoming.id}")
        return Draft(endpoint.metadata.uid or "", id, incoming.type, headers, request.body)


def _content_type(request: Request) -> str:
    """Raises UnsupportedMedia for what no header may be that is sent on."""
    found = request.headers.get("content-type", "application/octet-stream")
    if not (found.isascii() and found.isprintable() and len(found) <= _LONGEST_TYPE):
        raise UnsupportedMedia(f"content-type: must be ASCII, of at most {_LONGEST_TYPE} characters")
    return found


def _require_text(content: bytes) -> None:
    """Raises ApiError for what no message of a queue can be."""
    if len(content) > MOST_BYTES_FOR_QUEUES:
        raise TooLarge(f"a message for a queue has at most {MOST_BYTES_FOR_QUEUES} bytes")
    try:
        content.decode()
    except UnicodeDecodeError:
        raise UnsupportedMedia("a message for a queue is UTF-8") from None
