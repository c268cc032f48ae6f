"""Data keys over KMS's protocol, for services that keep what they store under one.

    keys = DataKeyClient(context.service_client(KEYS))
    plain, wrapped, arn = await keys.generate(KeyRequest(key, {"aws:s3:arn": arn}, namespace, caller))

The encryption context binds a data key to what it seals. A key of people's is used in the name of whoever asks, so
that their right to it counts; without a caller a service asks for itself.

Source: AWS KMS API reference, GenerateDataKey, Decrypt, ReEncrypt.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio

from crds.errors import ApiError, Timeout, Unavailable
from services.sdk.clients.service_client import ServiceClient
from services.sdk.identity import Caller

ASK_EVERY_SECONDS = 15.0
# KMS answers 500 for it, but asking again helps nobody: the root key that sealed the key is gone.
KEY_UNAVAILABLE = "KeyUnavailableException"
_JSON = "application/x-amz-json-1.1"


class KeysAway(Exception):
    """It does not answer, or not as it should; the text says how. Asking again later may help."""


class KeyRefused(Exception):
    """It answers no. `code`: KMS's name of the error; `said`: what it says of it, which may be nothing."""

    def __init__(self, operation: str, code: str, said: str) -> None:
        super().__init__(f"{code}: {said}" if said else code)
        self.operation, self.code, self.said = operation, code, said


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """Under which key (id, ARN or alias), bound to what, in which namespace, and for whom; None: for this service."""

    key: str
    context: Mapping[str, str]
    namespace: str
    caller: Caller | None = None


class DataKeyClient:
    """`client` is that of the service that has the keys. `fault`: why it could not be asked last time, or None."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self.fault: str | None = None

    async def run(self) -> None:
        """Asks again and again whether it answers, so that `fault` is never old. Until cancelled."""
        while True:
            with suppress(KeysAway, KeyRefused):
                await self._ask("GenerateRandom", {"NumberOfBytes": 1}, "default", None)
            await anyio.sleep(ASK_EVERY_SECONDS)

    async def generate(self, wanted: KeyRequest) -> tuple[bytes, bytes, str]:
        """A new data key: (32 bytes, wrapped, ARN of its key). Raises KeysAway, KeyRefused."""
        asked = {"KeyId": wanted.key, "KeySpec": "AES_256", "EncryptionContext": dict(wanted.context)}
        answer = await self._ask("GenerateDataKey", asked, wanted.namespace, wanted.caller)
        return base64.b64decode(answer["Plaintext"]), base64.b64decode(answer["CiphertextBlob"]), str(answer["KeyId"])

    async def decrypt(self, wanted: KeyRequest, wrapped: bytes) -> bytes:
        """The plaintext of a wrapped data key, which says itself what wrapped it. Raises as `generate`."""
        asked = {"CiphertextBlob": _text(wrapped), "EncryptionContext": dict(wanted.context)}
        answer = await self._ask("Decrypt", asked, wanted.namespace, wanted.caller)
        return base64.b64decode(answer["Plaintext"])

    async def rewrap(self, wanted: KeyRequest, wrapped: bytes) -> bytes:
        """The same data key, wrapped under the newest material of that key. Raises as `generate`."""
        context = dict(wanted.context)
        asked = {
            "CiphertextBlob": _text(wrapped),
            "DestinationKeyId": wanted.key,
            "SourceEncryptionContext": context,
            "DestinationEncryptionContext": context,
        }
        answer = await self._ask("ReEncrypt", asked, wanted.namespace, wanted.caller)
        return base64.b64decode(answer["CiphertextBlob"])

    async def _ask(
        self, operation: str, body: dict[str, Any], namespace: str, caller: Caller | None
    ) -> dict[str, Any]:
        """What is asked here does no harm when it is asked twice."""
        headers = {"content-type": _JSON, "x-amz-target": f"TrentService.{operation}"}
        try:
            response = await self._client.request(
                "POST", "/", caller=caller, namespace=namespace, headers=headers, json=body, idempotent=True
            )
            answer: dict[str, Any] = response.json()
        except (Unavailable, Timeout, ValueError) as away:
            raise self._away(f"{self._client.name} does not answer: {_words(away)}") from away
        code, said = str(answer.get("__type", "")), str(answer.get("message", ""))
        if response.status_code != 200 and (not code or (response.status_code >= 500 and code != KEY_UNAVAILABLE)):
            raise self._away(f"{self._client.name} answered {response.status_code} {code}: {said}")
        self.fault = None
        if response.status_code != 200:
            raise KeyRefused(operation, code, said)
        return answer

    def _away(self, fault: str) -> KeysAway:
        self.fault = fault
        return KeysAway(fault)


def _words(error: Exception) -> str:
    return error.message if isinstance(error, ApiError) else repr(error)


def _text(wrapped: bytes) -> str:
    return base64.b64encode(wrapped).decode()
