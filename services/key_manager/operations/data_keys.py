"""KMS operations that make keys for their callers: data keys and data key pairs, sealed under a symmetric Key.

Source: AWS KMS API reference, GenerateDataKey*, GenerateDataKeyPair*.
"""

from __future__ import annotations

import secrets
from typing import Any

from anyio import to_thread

from services.key_manager import errors
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.key_specs import ALGORITHMS
from services.key_manager.kinds import KEY
from services.key_manager.material import is_slow_to_make, new_material, private_key, public_der
from services.key_manager.operations.key_access import KeyAccess, refuse_dry_run, refuse_recipient
from services.key_manager.operations.symmetric import SymmetricCipher
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_SIZES = {"AES_256": 32, "AES_128": 16}
_DATA_KEY = ("KeyId", "KeySpec", "NumberOfBytes", "EncryptionContext", "GrantTokens", "DryRun")
_DATA_KEY_PAIR = ("KeyId", "KeyPairSpec", "EncryptionContext", "GrantTokens", "DryRun")


class DataKeyOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess) -> None:
        self._keys, self._symmetric = keys, SymmetricCipher(keys.keyring)

    @operation("GenerateDataKey", permission=("use", KEY), understands=_DATA_KEY)
    async def generate_data_key(self, call: RequestContext, request: Json) -> Json:
        found, plaintext, blob = await self._data_key(call, request)
        return {"Plaintext": plaintext, "CiphertextBlob": blob, "KeyId": found.arn}

    @operation("GenerateDataKeyWithoutPlaintext", permission=("use", KEY), understands=_DATA_KEY)
    async def generate_data_key_without_plaintext(self, call: RequestContext, request: Json) -> Json:
        found, _, blob = await self._data_key(call, request)
        return {"CiphertextBlob": blob, "KeyId": found.arn}

    @operation("GenerateDataKeyPair", permission=("use", KEY), understands=_DATA_KEY_PAIR)
    async def generate_data_key_pair(self, call: RequestContext, request: Json) -> Json:
        answer, private = await self._data_key_pair(call, request)
        return {**answer, "PrivateKeyPlaintext": private}

    @operation("GenerateDataKeyPairWithoutPlaintext", permission=("use", KEY), understands=_DATA_KEY_PAIR)
    async def generate_data_key_pair_without_plaintext(self, call: RequestContext, request: Json) -> Json:
        return (await self._data_key_pair(call, request))[0]

    async def _data_key(self, call: RequestContext, request: Json) -> tuple[ResolvedKey, bytes, bytes]:
        found = await self._sealing_key(call, request)
        if ("KeySpec" in request) == ("NumberOfBytes" in request):
            raise errors.invalid("Please specify either number of bytes or key spec.")
        size = _SIZES[request["KeySpec"]] if "KeySpec" in request else int(request["NumberOfBytes"])
        refuse_dry_run(request)
        plaintext = secrets.token_bytes(size)
        blob = await self._symmetric.encrypt(found, plaintext, request.get("EncryptionContext", {}))
        return found, plaintext, blob

    async def _data_key_pair(self, call: RequestContext, request: Json) -> tuple[Json, bytes]:
        found, spec = await self._sealing_key(call, request), request["KeyPairSpec"]
        if spec not in ALGORITHMS:
            raise errors.unsupported(f"KeyPairSpec {spec} is not supported here")
        refuse_dry_run(request)
        private = await to_thread.run_sync(new_material, spec) if is_slow_to_make(spec) else new_material(spec)
        blob = await self._symmetric.encrypt(found, private, request.get("EncryptionContext", {}))
        public = public_der(private_key(spec, private))
        answer = {"PrivateKeyCiphertextBlob": blob, "PublicKey": public, "KeyId": found.arn, "KeyPairSpec": spec}
        return answer, private

    async def _sealing_key(self, call: RequestContext, request: Json) -> ResolvedKey:
        refuse_recipient(request)
        found = await self._keys.require_usable(call, request, "ENCRYPT_DECRYPT")
        if not found.is_symmetric:
            raise errors.invalid_key_spec(found.arn, found.key.spec.key_spec, call.operation)
        return found
