"""Encoded authorization messages: why somebody was refused, sealed for who may know it.

A refusal of AssumeRole says nothing of the role, not even whether there is one. What decided goes along sealed;
whoever may `sts:DecodeAuthorizationMessage` in the account of the role reads it.
Source: AWS STS API reference, DecodeAuthorizationMessage.
"""

from __future__ import annotations

import base64
import os
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.auth.derived_secrets import DerivedSecrets
from api.auth.sts.refusals import refused
from api.auth.sts.trust import TrustDecision
from services.sdk.aws.policy import Outcome, Requester

LEAD = "Encoded authorization failure message: "
_PURPOSE, _NONCE, _FORMAT = "authorization-message", 12, b"\x01"
_LONGEST, _LONGEST_SID, _ROOM = 10_240, 128, 640
Json = dict[str, Any]


class AuthorizationMessages:
    """One per process."""

    def __init__(self, derived: DerivedSecrets) -> None:
        self._derived = derived

    def told(self, namespace: str, decided: TrustDecision | None, who: Requester, action: str, resource: str) -> str:
        """What a refusal ends with. `namespace`: the account that may decode it."""
        content = _padded(orjson.dumps(_content(decided, who, action, resource)), who, action, resource)
        key, nonce = self._derived.sealing_keys(_PURPOSE)[0], os.urandom(_NONCE)
        sealed = _FORMAT + nonce + AESGCM(key).encrypt(nonce, content, _bound_to(namespace))
        return LEAD + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def decoded(self, namespace: str, message: str) -> str:
        """The JSON inside. Raises BadRequest for what was not sealed here, or for another account."""
        try:
            sealed = base64.b64decode(message + "=" * (-len(message) % 4), altchars=b"-_", validate=True)
            return self._opened(namespace, sealed).decode().rstrip()
        except (ValueError, InvalidTag):
            said = "The message is not valid, or was made for another account."
            raise refused("InvalidAuthorizationMessageException", said, "encodedMessage") from None

    def _opened(self, namespace: str, sealed: bytes) -> bytes:
        """Raises ValueError, InvalidTag."""
        if not sealed.startswith(_FORMAT) or len(sealed) > _LONGEST:
            raise ValueError("format")
        nonce, rest = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        for key in self._derived.sealing_keys(_PURPOSE):
            try:
                return AESGCM(key).decrypt(nonce, rest, _bound_to(namespace))
            except InvalidTag:
                continue
        raise InvalidTag


def _content(decided: TrustDecision | None, who: Requester, action: str, resource: str) -> Json:
    found = decided.decision if decided is not None else None
    statement = found.match.statement if found is not None and found.match is not None else None
    items = (
        [{"policy": found.match.policy, "sid": statement.sid[:_LONGEST_SID]}]
        if found and found.match and statement
        else []
    )
    return {
        "allowed": False,
        "explicitDeny": found is not None and found.outcome is Outcome.EXPLICIT_DENY,
        "matchedStatements": {"items": items},
        "failures": {"items": [] if found is None else [{"missing": str(found.source)}]},
        "context": {
            "principal": {"id": who.ids[0] if who.ids else "", "arn": who.arn},
            "action": action,
            "resource": resource,
            "conditions": {"items": []},
        },
    }


def _padded(content: bytes, who: Requester, action: str, resource: str) -> bytes:
    """As long as whoever is refused could tell beforehand: its length says nothing of what decided."""
    asked = orjson.dumps([who.ids[:1], who.arn, action, resource])
    return content.ljust(_ROOM + len(asked))


def _bound_to(namespace: str) -> bytes:
    return f"aerekos authorization message\x00{namespace}".encode()
