"""KMS operations that encrypt and decrypt. Plaintext and keys never reach a log.

Source: AWS KMS API reference, Encrypt, Decrypt, ReEncrypt, GenerateRandom.
"""

from __future__ import annotations

import secrets
from typing import Any

from anyio import to_thread

from services.key_manager import asymmetric, errors
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.key_specs import SYMMETRIC
from services.key_manager.kinds import KEY
from services.key_manager.material import is_slow_to_use
from services.key_manager.operations.key_access import (
    KeyAccess,
    refuse_dry_run,
    refuse_recipient,
    require_algorithm,
    required_bytes,
)
from services.key_manager.operations.symmetric import SymmetricCipher
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_CIPHER = ("EncryptionContext", "EncryptionAlgorithm", "GrantTokens", "DryRun")
_REENCRYPT = (
    "CiphertextBlob",
    "SourceKeyId",
    "SourceEncryptionContext",
    "SourceEncryptionAlgorithm",
    "DestinationKeyId",
    "DestinationEncryptionContext",
    "DestinationEncryptionAlgorithm",
    "GrantTokens",
    "DryRun",
)


class CryptoOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess) -> None:
        self._keys, self._symmetric = keys, SymmetricCipher(keys.keyring)

    @operation("Encrypt", permission=("use", KEY), understands=("KeyId", "Plaintext", *_CIPHER))
    async def encrypt(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.require_usable(call, request, "ENCRYPT_DECRYPT")
        algorithm = require_algorithm(found, request.get("EncryptionAlgorithm", SYMMETRIC))
        refuse_dry_run(request)
        blob = await self._encrypted(found, algorithm, request["Plaintext"], request.get("EncryptionContext", {}))
        return {"CiphertextBlob": blob, "KeyId": found.arn, "EncryptionAlgorithm": algorithm}

    @operation("Decrypt", permission=("use", KEY), understands=("KeyId", "CiphertextBlob", *_CIPHER))
    async def decrypt(self, call: RequestContext, request: Json) -> Json:
        blob = required_bytes(request, "CiphertextBlob")
        found = await self._keys.key_of_ciphertext(call, blob, request.get("KeyId"), request)
        algorithm = require_algorithm(found, request.get("EncryptionAlgorithm", SYMMETRIC))
        refuse_recipient(request)
        refuse_dry_run(request)
        plaintext = await self._decrypted(found, algorithm, blob, request.get("EncryptionContext", {}))
        return {"Plaintext": plaintext, "KeyId": found.arn, "EncryptionAlgorithm": algorithm}

    @operation("ReEncrypt", permission=("use", KEY), understands=_REENCRYPT)
    async def re_encrypt(self, call: RequestContext, request: Json) -> Json:
        blob = required_bytes(request, "CiphertextBlob")
        opening, sealing = (request.get(f"{end}EncryptionContext", {}) for end in ("Source", "Destination"))
        source = await self._keys.key_of_ciphertext(
            call, blob, request.get("SourceKeyId"), request, "ReEncryptFrom", opening
        )
        target = await self._keys.resolver.find(call, request["DestinationKeyId"])
        await self._keys.permitted(call, target, request, "ReEncryptTo", sealing)
        self._keys.require_fit(call, target, "ENCRYPT_DECRYPT")
        before = require_algorithm(source, request.get("SourceEncryptionAlgorithm", SYMMETRIC))
        after = require_algorithm(target, request.get("DestinationEncryptionAlgorithm", SYMMETRIC))
        refuse_dry_run(request)
        plaintext = await self._decrypted(source, before, blob, opening)
        again = await self._encrypted(target, after, plaintext, sealing)
        return {
            "CiphertextBlob": again,
            "SourceKeyId": source.arn,
            "KeyId": target.arn,
            "SourceEncryptionAlgorithm": before,
            "DestinationEncryptionAlgorithm": after,
        }

    @operation("GenerateRandom", permission=None, understands=("NumberOfBytes",))
    async def generate_random(self, call: RequestContext, request: Json) -> Json:
        """For all whom no policy denies it."""
        if "NumberOfBytes" not in request:
            raise errors.invalid("NumberOfBytes is required.")
        self._keys.access.judge(call)
        return {"Plaintext": secrets.token_bytes(request["NumberOfBytes"])}

    async def _encrypted(
        self, found: ResolvedKey, algorithm: str, plaintext: bytes, context: dict[str, str]
    ) -> bytes:
        if algorithm == SYMMETRIC:
            return await self._symmetric.encrypt(found, plaintext, context)
        _refuse_context(context)
        key = await self._keys.private_key(found)
        if len(plaintext) > (most := asymmetric.longest_plaintext(key, algorithm)):
            spec = found.key.spec.key_spec
            text = f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes."
            raise errors.invalid(text)
        return asymmetric.encrypt(key, algorithm, plaintext)

    async def _decrypted(self, found: ResolvedKey, algorithm: str, blob: bytes, context: dict[str, str]) -> bytes:
        if algorithm == SYMMETRIC:
            return await self._symmetric.decrypt(found, blob, context)
        _refuse_context(context)
        key = await self._keys.private_key(found)
        try:
            if is_slow_to_use(found.key.spec.key_spec):
                return await to_thread.run_sync(asymmetric.decrypt, key, algorithm, blob)
            return asymmetric.decrypt(key, algorithm, blob)
        except asymmetric.BadInput:
            raise errors.invalid_ciphertext() from None


def _refuse_context(context: dict[str, str]) -> None:
    """RSA authenticates nothing beside the plaintext."""
    if context:
        raise errors.invalid("An encryption context is only for symmetric encryption keys.")
