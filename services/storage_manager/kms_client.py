"""The Kms port: data keys from key-manager, asked through the gateway.

A bucket's own key is used in the name of whoever asks for the object: their right on the key counts, not ours. The
account's default key belongs to this service, which uses it in its own name.
The encryption context binds every data key to its bucket (`aws:s3:arn`), as S3 does.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any

import anyio

from crds.errors import Timeout, Unavailable
from services.sdk.clients.service_client import ServiceClient
from services.sdk.identity import Caller
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import ANONYMOUS, DEFAULT_KEY, BucketRef

ASK_EVERY_SECONDS = 15.0
# KMS answers 500 for it, but asking again helps nobody: the root key that sealed the key is gone.
KEY_UNAVAILABLE = "KeyUnavailableException"
_JSON = "application/x-amz-json-1.1"


class KmsClient:
    """`client` is that of key-manager. `fault`: why it could not be asked last time, or None."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self.fault: str | None = None

    async def run(self) -> None:
        """Asks again and again whether it answers, so that `fault` is never old. Until cancelled."""
        while True:
            with suppress(S3Error):
                await self._ask("GenerateRandom", "default", {"NumberOfBytes": 1})
            await anyio.sleep(ASK_EVERY_SECONDS)

    async def generate(self, ref: BucketRef) -> tuple[bytes, bytes, str]:
        """A new data key: (32 bytes, wrapped, ARN of its key). Raises S3Error ServiceUnavailable, KMS...."""
        wanted = {"KeyId": ref.key or DEFAULT_KEY, "KeySpec": "AES_256"}
        answer = await self._bound("GenerateDataKey", ref, wanted)
        wrapped = base64.b64decode(answer["CiphertextBlob"])
        return base64.b64decode(answer["Plaintext"]), wrapped, str(answer["KeyId"])

    async def decrypt(self, ref: BucketRef, wrapped: bytes) -> bytes:
        """The plaintext of a wrapped data key. Raises as `generate`."""
        answer = await self._bound("Decrypt", ref, {"CiphertextBlob": base64.b64encode(wrapped).decode()})
        return base64.b64decode(answer["Plaintext"])

    async def rewrap(self, ref: BucketRef, wrapped: bytes, arn: str) -> bytes:
        """The same data key, wrapped under the newest material of its KMS key. Raises as `generate`."""
        context, blob = {"aws:s3:arn": ref.arn}, base64.b64encode(wrapped).decode()
        contexts = {"SourceEncryptionContext": context, "DestinationEncryptionContext": context}
        wanted = {"CiphertextBlob": blob, "DestinationKeyId": arn or ref.key or DEFAULT_KEY, **contexts}
        answer = await self._ask("ReEncrypt", ref.namespace, wanted, ref.caller if ref.own_key else None)
        return base64.b64decode(answer["CiphertextBlob"])

    async def _bound(self, operation: str, ref: BucketRef, body: dict[str, Any]) -> dict[str, Any]:
        bound = {**body, "EncryptionContext": {"aws:s3:arn": ref.arn}}
        return await self._ask(operation, ref.namespace, bound, ref.caller if ref.own_key else None)

    async def _ask(
        self, operation: str, namespace: str, body: dict[str, Any], caller: Caller | None = None
    ) -> dict[str, Any]:
        """What is asked here does no harm when it is asked twice. `caller`: for whom; nobody may use a key."""
        if caller is not None and caller.name == ANONYMOUS:
            raise S3Error("AccessDenied", "what a customer's KMS key seals is asked for with a signature")
        headers = {"content-type": _JSON, "x-amz-target": f"TrentService.{operation}"}
        try:
            response = await self._client.request(
                "POST", "/", caller=caller, namespace=namespace, headers=headers, json=body, idempotent=True
            )
            answer: dict[str, Any] = response.json()
        except (Unavailable, Timeout, ValueError) as away:
            self.fault = f"key-manager does not answer: {away!r}"
            raise S3Error("ServiceUnavailable", self.fault) from away
        if response.status_code == 200:
            self.fault = None
            return answer
        refusal = _refusal(response.status_code, answer)
        self.fault = refusal.message if refusal.status == 503 else None
        raise refusal


def _refusal(status: int, answer: dict[str, Any]) -> S3Error:
    code, said = str(answer.get("__type", "")), str(answer.get("message", ""))
    if (status >= 500 and code != KEY_UNAVAILABLE) or not code:
        return S3Error("ServiceUnavailable", f"key-manager answered {status}: {said}")
    return S3Error(f"KMS.{code}", said)
