"""Data keys from key-manager, asked through the gateway.

A secret's own key is used in the name of whoever asks for the secret: their right on the key counts, not ours. The
account's default key belongs to this service, which uses it in its own name. The encryption context binds every data
key to its secret and version, as AWS does it.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio

from crds.errors import ApiError, Timeout, Unavailable
from services.sdk.aws.errors import AwsError
from services.sdk.clients.service_client import ServiceClient
from services.sdk.identity import Caller
from services.secrets_manager import errors
from services.secrets_manager.invariants import DEFAULT_KEY

ASK_EVERY_SECONDS = 15.0
_JSON = "application/x-amz-json-1.1"
_REFUSED = frozenset({"AccessDeniedException"})


@dataclass(frozen=True, slots=True)
class KeyUse:
    """For which version of which secret a data key is, where, under which key, and who asks."""

    arn: str
    version_id: str
    namespace: str
    key: str = ""
    caller: Caller | None = None

    @property
    def is_own_key(self) -> bool:
        """Whether it is one of people's keys, not the account's default."""
        return is_own(self.key)

    @property
    def context(self) -> dict[str, str]:
        return {"SecretARN": self.arn, "SecretVersionId": self.version_id}


def is_own(key: str) -> bool:
    """Whether that names one of people's keys."""
    return key not in ("", DEFAULT_KEY) and not key.endswith(f":{DEFAULT_KEY}")


class KeyClient:
    """`client` is that of key-manager. `fault`: why it could not be asked last time, or None."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self.fault: str | None = None

    async def run(self) -> None:
        """Asks again and again whether it answers, so that `fault` is never old. Until cancelled."""
        while True:
            with suppress(AwsError):
                await self._ask("GenerateRandom", "default", {"NumberOfBytes": 1}, None)
            await anyio.sleep(ASK_EVERY_SECONDS)

    async def generate(self, use: KeyUse) -> tuple[bytes, bytes, str]:
        """A new data key: (32 bytes, wrapped, ARN of its key). Raises AwsError."""
        wanted = {
            "KeyId": use.key if use.is_own_key else DEFAULT_KEY,
            "KeySpec": "AES_256",
            "EncryptionContext": use.context,
        }
        answer = await self._for(use, "GenerateDataKey", wanted)
        return base64.b64decode(answer["Plaintext"]), base64.b64decode(answer["CiphertextBlob"]), str(answer["KeyId"])

    async def decrypt(self, use: KeyUse, wrapped: bytes) -> bytes:
        """The plaintext of a wrapped data key. Raises AwsError."""
        blob = base64.b64encode(wrapped).decode()
        answer = await self._for(use, "Decrypt", {"CiphertextBlob": blob, "EncryptionContext": use.context})
        return base64.b64decode(answer["Plaintext"])

    async def _for(self, use: KeyUse, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises AwsError."""
        if use.is_own_key and use.caller is None:
            raise errors.nobody_asks()
        return await self._ask(operation, use.namespace, body, use.caller if use.is_own_key else None)

    async def _ask(
        self, operation: str, namespace: str, body: dict[str, Any], caller: Caller | None
    ) -> dict[str, Any]:
        """What is asked here does no harm when it is asked twice. `caller`: for whom."""
        headers = {"content-type": _JSON, "x-amz-target": f"TrentService.{operation}"}
        try:
            response = await self._client.request(
                "POST", "/", caller=caller, namespace=namespace, headers=headers, json=body, idempotent=True
            )
            answer: dict[str, Any] = response.json()
        except (Unavailable, Timeout, ValueError) as away:
            self.fault = f"key-manager does not answer: {_words(away)}"
            raise errors.keys_away(self.fault) from away
        if response.status_code == 200:
            self.fault = None
            return answer
        refusal = _refusal(operation, response.status_code, answer)
        self.fault = refusal.message if refusal.status >= 500 else None
        raise refusal


def _words(error: Exception) -> str:
    return error.message if isinstance(error, ApiError) else repr(error)


def _refusal(operation: str, status: int, answer: dict[str, Any]) -> AwsError:
    code, said = str(answer.get("__type", "")), str(answer.get("message", ""))
    if code in _REFUSED:
        return errors.no_access_to_key()
    if not code or status >= 500:
        return errors.keys_away(f"key-manager answered {status} {code}: {said}")
    failure = errors.decryption_failure if operation == "Decrypt" else errors.encryption_failure
    return failure(f"{code}: {said}" if said else code)
