"""Proof that a message is from whom it says: the signatures of GitHub, Stripe, Slack and Standard Webhooks. Pure.

Source: GitHub, "Validating webhook deliveries"; Stripe, "Verify webhook signatures manually"; Slack, "Verifying
requests from Slack"; Standard Webhooks specification 1.0, "Verifying webhook authenticity".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from services.webhook_manager.names import id_of
from services.webhook_manager.signatures import PREFIX, signed_content
from services.webhook_manager.source_kinds import Provider

TOLERANCE_SECONDS = 300
_MOST_SIGNATURES = 16
_GITHUB_EVENT = re.compile(r"[A-Za-z0-9_.-]{0,100}")
Headers = Mapping[str, str]


class NotProven(Exception):
    """Nobody knows whom it is from. What is wrong is not told to whoever sent it."""


class Incoming(NamedTuple):
    """A message that is proven. `challenge`: what has to be answered at once; then nothing else is done."""

    id: str
    type: str
    challenge: str = ""


def proves(provider: Provider, secret: str) -> bool:
    """Whether that can prove anything: an empty one is known to everybody."""
    return bool(_standard_key(secret) if provider == "StandardWebhooks" else secret)


def verified(provider: Provider, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Incoming:
    """What came, proven by one of the secrets. headers: names in lower case. Raises NotProven."""
    return _VERIFIERS[provider](headers, body, secrets, now)


def _github(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Incoming:
    del now  # GitHub's signature has no time: a delivery that comes twice is known by its id
    given = _header(headers, "x-hub-signature-256")
    if not given.startswith("sha256="):
        raise NotProven
    type = headers.get("x-github-event", "")
    if _GITHUB_EVENT.fullmatch(type) is None:
        raise NotProven
    _require_hex([given.removeprefix("sha256=")], body, secrets)
    return Incoming(id_of(_header(headers, "x-github-delivery")), type)


def _stripe(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Incoming:
    pairs = [each.partition("=")[::2] for each in _header(headers, "stripe-signature").split(",")]
    times = [value for name, value in pairs if name.strip() == "t"]
    given = [value for name, value in pairs if name.strip() == "v1"][:_MOST_SIGNATURES]
    if len(times) != 1:
        raise NotProven
    _require_recent(times[0], now)
    _require_hex(given, f"{times[0]}.".encode() + body, secrets)
    event = _object(body)
    return Incoming(id_of(_text(event, "id") or _digest(body)), _text(event, "type"))


def _slack(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Incoming:
    given, at = _header(headers, "x-slack-signature"), _header(headers, "x-slack-request-timestamp")
    if not given.startswith("v0="):
        raise NotProven
    _require_recent(at, now)
    _require_hex([given.removeprefix("v0=")], f"v0:{at}:".encode() + body, secrets)
    event = _object(body)
    if _text(event, "type") == "url_verification":
        return Incoming("", "url_verification", _text(event, "challenge"))
    inner = event.get("event")
    type = _text(inner, "type") if isinstance(inner, dict) else _text(event, "type")
    return Incoming(id_of(_text(event, "event_id") or _digest(f"{at}.".encode() + body)), type)


def _standard(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> Incoming:
    id, at = _header(headers, "webhook-id"), _header(headers, "webhook-timestamp")
    given = [each.partition(",")[2] for each in _header(headers, "webhook-signature").split() if each[:3] == "v1,"]
    _require_recent(at, now)
    content = signed_content(id, at, body)
    keys = [key for each in secrets if (key := _standard_key(each))]
    wanted = [hmac.digest(key, content, hashlib.sha256) for key in keys]
    if not any(_equals_base64(each, mark) for each in given[:_MOST_SIGNATURES] for mark in wanted):
        raise NotProven
    return Incoming(id_of(id), _text(_object(body), "type"))


_VERIFIERS: Mapping[str, Callable[[Headers, bytes, Sequence[str], float], Incoming]] = {
    "GitHub": _github,
    "Stripe": _stripe,
    "Slack": _slack,
    "StandardWebhooks": _standard,
}


def _header(headers: Headers, name: str) -> str:
    """Raises NotProven where it is missing."""
    found = headers.get(name, "")
    if not found:
        raise NotProven
    return found


def _require_recent(text: str, now: float) -> None:
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and abs(now - int(text)) <= TOLERANCE_SECONDS):
        raise NotProven


def _require_hex(given: Sequence[str], content: bytes, secrets: Iterable[str]) -> None:
    """The content is digested once for each secret, however many signatures came."""
    wanted = [hmac.digest(each.encode(), content, hashlib.sha256).hex().encode() for each in secrets]
    if not any(hmac.compare_digest(each.encode(), mark) for each in given for mark in wanted):
        raise NotProven


def _equals_base64(given: str, mark: bytes) -> bool:
    try:
        return hmac.compare_digest(base64.b64decode(given, validate=True), mark)
    except (binascii.Error, ValueError):
        return False


def _standard_key(secret: str) -> bytes:
    """Empty for what is none."""
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _object(body: bytes) -> dict[str, Any]:
    """What it says, where that is a JSON object; its signature proves it whatever it is."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    return value[:200] if isinstance(value, str) else ""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:40]
