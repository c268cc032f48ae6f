"""KMS operations with HMAC keys. Source: AWS KMS API reference, GenerateMac, VerifyMac."""

from __future__ import annotations

import hmac
from typing import Any

from services.key_manager.ciphertext import KeyVersion
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.kinds import KEY
from services.key_manager.operations.key_access import KeyAccess, refuse_dry_run, require_algorithm
from services.key_manager.operations.symmetric import SymmetricCipher
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_MAC = ("KeyId", "Message", "MacAlgorithm", "GrantTokens", "DryRun")
_HASHES = {f"HMAC_SHA_{bits}": f"sha{bits}" for bits in (224, 256, 384, 512)}


class MacOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess) -> None:
        self._keys, self._symmetric = keys, SymmetricCipher(keys.keyring)

    @operation("GenerateMac", permission=("use", KEY), understands=_MAC)
    async def generate_mac(self, call: RequestContext, request: Json) -> Json:
        found, algorithm, mac = await self._computed(call, request)
        return {"KeyId": found.arn, "Mac": mac, "MacAlgorithm": algorithm}

    @operation("VerifyMac", permission=("use", KEY), understands=(*_MAC, "Mac"))
    async def verify_mac(self, call: RequestContext, request: Json) -> Json:
        found, algorithm, mac = await self._computed(call, request)
        if not hmac.compare_digest(mac, request["Mac"]):
            raise AwsError("KMSInvalidMacException", "")
        return {"KeyId": found.arn, "MacValid": True, "MacAlgorithm": algorithm}

    async def _computed(self, call: RequestContext, request: Json) -> tuple[ResolvedKey, str, bytes]:
        found = await self._keys.require_usable(call, request, "GENERATE_VERIFY_MAC")
        algorithm = require_algorithm(found, request["MacAlgorithm"])
        refuse_dry_run(request)
        newest = await self._keys.keyring.ensure_material(found.key)
        key_version = KeyVersion(newest.spec.key_uid, newest.spec.version)
        material = await self._symmetric.material(key_version, found)
        return found, algorithm, hmac.digest(material, request["Message"], _HASHES[algorithm])
