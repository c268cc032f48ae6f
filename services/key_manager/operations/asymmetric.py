"""KMS operations with asymmetric keys. Private keys stay here; whoever may read a key may have its public half.

Source: AWS KMS API reference, Sign, Verify, GetPublicKey, DeriveSharedSecret, Encapsulate, Decapsulate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from anyio import to_thread

from services.key_manager import asymmetric, errors
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.key_specs import ALGORITHMS_MEMBER, algorithms_of, is_asymmetric
from services.key_manager.kinds import KEY
from services.key_manager.material import is_slow_to_use, public_der
from services.key_manager.operations.key_access import (
    KeyAccess,
    refuse_dry_run,
    refuse_recipient,
    require_algorithm,
)
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
T = TypeVar("T")
_SIGN = ("KeyId", "Message", "MessageType", "SigningAlgorithm", "GrantTokens", "DryRun")
_ENCAPSULATE = ("KeyId", "EncapsulationAlgorithm", "GrantTokens", "DryRun")
_DERIVE = ("KeyId", "KeyAgreementAlgorithm", "PublicKey", "GrantTokens", "DryRun")


class AsymmetricOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess) -> None:
        self._keys = keys

    @operation("Sign", permission=("use", KEY), understands=_SIGN)
    async def sign(self, call: RequestContext, request: Json) -> Json:
        found, algorithm, message_type = await self._signing(call, request)
        key = await self._keys.private_key(found)
        message = request["Message"]
        signature = await _done(found, lambda: asymmetric.sign(key, algorithm, message, message_type))
        return {"KeyId": found.arn, "Signature": signature, "SigningAlgorithm": algorithm}

    @operation("Verify", permission=("use", KEY), understands=(*_SIGN, "Signature"))
    async def verify(self, call: RequestContext, request: Json) -> Json:
        found, algorithm, message_type = await self._signing(call, request)
        key = await self._keys.private_key(found)
        if not asymmetric.is_signed(key, algorithm, request["Message"], message_type, request["Signature"]):
            raise AwsError("KMSInvalidSignatureException", "")
        return {"KeyId": found.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}

    @operation("GetPublicKey", permission=("get", KEY), understands=("KeyId", "GrantTokens"))
    async def get_public_key(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.resolve(call, request)
        self._keys.require_enabled(found)
        spec = found.key.spec
        if not is_asymmetric(spec.key_spec):
            raise errors.invalid_key_spec(found.arn, spec.key_spec, call.operation)
        return {
            "KeyId": found.arn,
            "PublicKey": public_der(await self._keys.private_key(found)),
            "CustomerMasterKeySpec": spec.key_spec,
            "KeySpec": spec.key_spec,
            "KeyUsage": spec.usage,
            ALGORITHMS_MEMBER[spec.usage]: list(algorithms_of(spec.key_spec, spec.usage)),
        }

    @operation("DeriveSharedSecret", permission=("use", KEY), understands=_DERIVE)
    async def derive_shared_secret(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.require_usable(call, request, "KEY_AGREEMENT")
        algorithm = require_algorithm(found, request["KeyAgreementAlgorithm"])
        refuse_recipient(request)
        refuse_dry_run(request)
        key = await self._keys.private_key(found)
        try:
            secret = asymmetric.shared_secret(key, request["PublicKey"])
        except asymmetric.BadInput:
            raise errors.invalid("") from None
        return {
            "KeyId": found.arn,
            "SharedSecret": secret,
            "KeyAgreementAlgorithm": algorithm,
            "KeyOrigin": found.key.spec.origin,
        }

    @operation("Encapsulate", permission=("use", KEY), understands=_ENCAPSULATE)
    async def encapsulate(self, call: RequestContext, request: Json) -> Json:
        found, algorithm = await self._encapsulating(call, request)
        secret, sealed = asymmetric.encapsulate(await self._keys.private_key(found))
        answer = {"KeyId": found.arn, "SharedSecret": secret, "EncapsulationAlgorithm": algorithm}
        return {**answer, "SharedSecretCiphertextBlob": sealed}

    @operation(
        "Decapsulate",
        permission=("use", KEY),
        understands=(*_ENCAPSULATE, "SharedSecretCiphertextBlob"),
    )
    async def decapsulate(self, call: RequestContext, request: Json) -> Json:
        found, algorithm = await self._encapsulating(call, request)
        key = await self._keys.private_key(found)
        try:
            secret = asymmetric.decapsulate(key, request["SharedSecretCiphertextBlob"])
        except asymmetric.BadInput:
            raise errors.invalid_ciphertext() from None
        return {"KeyId": found.arn, "SharedSecret": secret, "EncapsulationAlgorithm": algorithm}

    async def _signing(self, call: RequestContext, request: Json) -> tuple[ResolvedKey, str, str]:
        """The key, algorithm and message type, for a message that fits them."""
        found = await self._keys.require_usable(call, request, "SIGN_VERIFY")
        algorithm = require_algorithm(found, request["SigningAlgorithm"])
        message_type = request.get("MessageType", asymmetric.RAW)
        if message_type not in asymmetric.message_types(algorithm):
            raise errors.invalid(f"Algorithm {algorithm} is incompatible with message type {message_type}.")
        if message_type != asymmetric.RAW and len(request["Message"]) != asymmetric.digest_size(algorithm):
            raise errors.invalid(f"Digest is invalid length for algorithm {algorithm}.")
        refuse_dry_run(request)
        return found, algorithm, message_type

    async def _encapsulating(self, call: RequestContext, request: Json) -> tuple[ResolvedKey, str]:
        found = await self._keys.require_usable(call, request, "ENCAPSULATE_DECAPSULATE")
        algorithm = require_algorithm(found, request["EncapsulationAlgorithm"])
        refuse_dry_run(request)
        return found, algorithm


async def _done(found: ResolvedKey, work: Callable[[], T]) -> T:
    """In a thread, if it would hold the event loop up."""
    if is_slow_to_use(found.key.spec.key_spec):
        return await to_thread.run_sync(work)
    return work()
