"""The data keys of values: under the account's default key, or under the one that a secret names.

A secret's own key is used in the name of whoever asks for the secret: their right on the key counts, not ours. The
account's default key belongs to this service, which uses it in its own name. The encryption context binds every data
key to its secret and version, as AWS does it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from services.sdk.aws.errors import AwsError
from services.sdk.clients.data_keys import DataKeyClient, KeyRefused, KeyRequest, KeysAway
from services.sdk.clients.service_client import ServiceClient
from services.sdk.identity import Caller
from services.secrets_manager import errors
from services.secrets_manager.invariants import DEFAULT_KEY

T = TypeVar("T")


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
        """What AWS binds the data keys of Secrets Manager to."""
        return {"SecretARN": self.arn, "SecretVersionId": self.version_id}


def is_own(key: str) -> bool:
    """Whether that names one of people's keys."""
    return key not in ("", DEFAULT_KEY) and not key.endswith(f":{DEFAULT_KEY}")


class KeyClient:
    """`client` is that of key-manager. `run` keeps `fault` new, until cancelled."""

    def __init__(self, client: ServiceClient) -> None:
        self._keys = DataKeyClient(client)
        self.run = self._keys.run

    @property
    def fault(self) -> str | None:
        """Why key-manager could not be asked last time; None when it could."""
        return self._keys.fault

    async def generate(self, use: KeyUse) -> tuple[bytes, bytes, str]:
        """A new data key: (32 bytes, wrapped, ARN of its key). Raises AwsError."""
        return await _answered(lambda: self._keys.generate(_request(use)))

    async def decrypt(self, use: KeyUse, wrapped: bytes) -> bytes:
        """The plaintext of a wrapped data key. Raises AwsError."""
        return await _answered(lambda: self._keys.decrypt(_request(use), wrapped))


def _request(use: KeyUse) -> KeyRequest:
    """Raises AwsError where nobody asks whose right to the key could count."""
    if not use.is_own_key:
        return KeyRequest(DEFAULT_KEY, use.context, use.namespace)
    if use.caller is None:
        raise errors.nobody_asks()
    return KeyRequest(use.key, use.context, use.namespace, use.caller)


async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Raises AwsError, in Secrets Manager's words."""
    try:
        return await ask()
    except KeysAway as away:
        raise errors.keys_away(str(away)) from away
    except KeyRefused as refused:
        raise _refusal(refused) from refused


def _refusal(refused: KeyRefused) -> AwsError:
    if refused.code == "AccessDeniedException":
        return errors.no_access_to_key()
    failure = errors.decryption_failure if refused.operation == "Decrypt" else errors.encryption_failure
    return failure(str(refused))
