"""How a message is written: Standard Webhooks' JSON, or CloudEvents 1.0 in structured or binary mode.

Source: Standard Webhooks specification 1.0, "Payload structure"; CloudEvents 1.0.2, "JSON Event Format" and "HTTP
Protocol Binding".
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from crds.model import rfc3339_micro
from services.webhook_manager.kinds import Format
from services.webhook_manager.message import Draft

_JSON = {"content-type": "application/json"}


class Occurrence(NamedTuple):
    """What happened, before it is written. `source`, `subject`: as CloudEvents have them."""

    id: str
    type: str
    data: Any
    time: datetime
    source: str
    subject: str = ""


def draft_of(what: Occurrence, to: str, format: Format) -> Draft:
    """The message for that receiver."""
    if format == "CloudEventsStructured":
        content = orjson.dumps({**_attributes(what), "datacontenttype": "application/json", "data": what.data})
        return Draft(to, what.id, what.type, {"content-type": "application/cloudevents+json"}, content)
    if format == "CloudEventsBinary":
        headers = {f"ce-{name}": _header(value) for name, value in _attributes(what).items()}
        return Draft(to, what.id, what.type, {**_JSON, **headers}, orjson.dumps(what.data))
    told = {"type": what.type, "timestamp": rfc3339_micro(what.time), "data": what.data}
    return Draft(to, what.id, what.type, _JSON, orjson.dumps(told))


def _attributes(what: Occurrence) -> dict[str, str]:
    found = {
        "specversion": "1.0",
        "id": what.id,
        "source": what.source,
        "type": what.type,
        "time": rfc3339_micro(what.time),
    }
    return {**found, "subject": what.subject} if what.subject else found


def _header(value: str) -> str:
    """Percent-encoded: the space, quote and percent sign, and all but printable ASCII (HTTP binding, 3.1.3.2)."""
    return quote(value, safe="!#$&'()*+,/:;<=>?@[\\]^`{|}~-._")
