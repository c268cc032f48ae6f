"""KMS operations that encrypt and decrypt. Plaintext and keys never reach a log.

Source: AWS KMS API reference, Encrypt, Decrypt, ReEncrypt, GenerateDataKey*, GenerateRandom.
"""

from __future__ import annotations

import secrets
from typing import Any

from crds.errors import NotFound
from services.key_manager import errors
from services.key_manager.ciphertext import BadCiphertext, KeyVersion, decrypt, encrypt, key_version_of
from services.key_manager.key_lookup import ResolvedKey, Resolver
from services.key_manager.key_state import uid_of
from services.key_manager.keyring import Keyring
from services.key_manager.kinds import KEY
from services.key_manager.root_key import NotYetOurs, Unsealable
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
SYMMETRIC = "SYMMETRIC_DEFAULT"
_LONGEST_CONTEXT = 8192
_SIZES = {"AES_256": 32, "AES_128": 16}
_CIPHER = ("EncryptionContext", "EncryptionAlgorithm", "DryRun")
_DATA_KEY = ("KeyId", "KeySpec", "NumberOfBytes", "EncryptionContext", "DryRun")
_REENCRYPT = (
    "CiphertextBlob",
    "SourceKeyId",
    "SourceEncryptionContext",
    "SourceEncryptionAlgorithm",
    "DestinationKeyId",
    "DestinationEncryptionContext",
    "DestinationEncryptionAlgorithm",
    "DryRun",
)


class CryptoOperations:
    """One declared method per operation."""

    def __init__(self, keyring: Keyring, resolver: Resolver, access: CallerAccess) -> None:
        self._keyring, self._resolver, self._access = keyring, resolver, access

    @operation("Encrypt", permission=("use", KEY), understands=("KeyId", "Plaintext", *_CIPHER))
    async def encrypt(self, call: RequestContext, request: Json) -> Json:
        found = await self._require_usable(call, request["KeyId"])
        _only_symmetric(request, "EncryptionAlgorithm")
        _refuse_dry_run(request)
        blob = await self._encrypted(found, request["Plaintext"], request.get("EncryptionContext", {}))
        return {"CiphertextBlob": blob, "KeyId": found.arn, "EncryptionAlgorithm": SYMMETRIC}

    @operation("Decrypt", permission=("use", KEY), understands=("KeyId", "CiphertextBlob", *_CIPHER))
    async def decrypt(self, call: RequestContext, request: Json) -> Json:
        blob = _required_bytes(request, "CiphertextBlob")
        found = await self._key_of_ciphertext(call, blob, request.get("KeyId"))
        _only_symmetric(request, "EncryptionAlgorithm")
        if request.get("Recipient"):
            raise errors.unsupported("Recipient (attestation) is not supported")
        _refuse_dry_run(request)
        plaintext = await self._decrypted(found, blob, request.get("EncryptionContext", {}))
        return {"Plaintext": plaintext, "KeyId": found.arn, "EncryptionAlgorithm": SYMMETRIC}

    @operation("ReEncrypt", permission=("use", KEY), understands=_REENCRYPT)
    async def re_encrypt(self, call: RequestContext, request: Json) -> Json:
        blob = _required_bytes(request, "CiphertextBlob")
        source = await self._key_of_ciphertext(call, blob, request.get("SourceKeyId"))
        target = await self._require_usable(call, request["DestinationKeyId"])
        for name in ("SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm"):
            _only_symmetric(request, name)
        _refuse_dry_run(request)
        plaintext = await self._decrypted(source, blob, request.get("SourceEncryptionContext", {}))
        again = await self._encrypted(target, plaintext, request.get("DestinationEncryptionContext", {}))
        return {
            "CiphertextBlob": again,
            "SourceKeyId": source.arn,
            "KeyId": target.arn,
            "SourceEncryptionAlgorithm": SYMMETRIC,
            "DestinationEncryptionAlgorithm": SYMMETRIC,
        }

    @operation("GenerateDataKey", permission=("use", KEY), understands=_DATA_KEY)
    async def generate_data_key(self, call: RequestContext, request: Json) -> Json:
        if request.get("Recipient"):
            raise errors.unsupported("Recipient (attestation) is not supported")
        found, plaintext, blob = await self._data_key(call, request)
        return {"Plaintext": plaintext, "CiphertextBlob": blob, "KeyId": found.arn}

    @operation("GenerateDataKeyWithoutPlaintext", permission=("use", KEY), understands=_DATA_KEY)
    async def generate_data_key_without_plaintext(self, call: RequestContext, request: Json) -> Json:
        found, _, blob = await self._data_key(call, request)
        return {"CiphertextBlob": blob, "KeyId": found.arn}

    @operation("GenerateRandom", permission=None, understands=("NumberOfBytes",))
    async def generate_random(self, call: RequestContext, request: Json) -> Json:
        if "NumberOfBytes" not in request:
            raise errors.invalid("NumberOfBytes is required.")
        if request.get("Recipient") or request.get("CustomKeyStoreId"):
            raise errors.unsupported("Recipient and CustomKeyStoreId are not supported")
        return {"Plaintext": secrets.token_bytes(request["NumberOfBytes"])}

    async def _data_key(self, call: RequestContext, request: Json) -> tuple[ResolvedKey, bytes, bytes]:
        found = await self._require_usable(call, request["KeyId"])
        if ("KeySpec" in request) == ("NumberOfBytes" in request):
            raise errors.invalid("Please specify either number of bytes or key spec.")
        size = _SIZES[request["KeySpec"]] if "KeySpec" in request else int(request["NumberOfBytes"])
        _refuse_dry_run(request)
        plaintext = secrets.token_bytes(size)
        return found, plaintext, await self._encrypted(found, plaintext, request.get("EncryptionContext", {}))

    async def _encrypted(self, found: ResolvedKey, plaintext: bytes, context: dict[str, str]) -> bytes:
        if sum(len(name) + len(value) for name, value in context.items()) > _LONGEST_CONTEXT:
            raise errors.invalid(f"The encryption context is over {_LONGEST_CONTEXT} characters.")
        newest = await self._keyring.ensure_material(found.key)
        key_version = KeyVersion(uid_of(found.key), newest.spec.version)
        return encrypt(await self._material(key_version, found), key_version, plaintext, context)

    async def _decrypted(self, found: ResolvedKey, blob: bytes, context: dict[str, str]) -> bytes:
        try:
            return decrypt(await self._material(key_version_of(blob), found), blob, context)
        except (BadCiphertext, NotFound):
            raise errors.invalid_ciphertext() from None

    async def _material(self, key_version: KeyVersion, found: ResolvedKey) -> bytes:
        try:
            return await self._keyring.open(key_version, found.namespace)
        except NotYetOurs as error:
            raise AwsError("DependencyTimeoutException", str(error), 503) from error
        except Unsealable as error:
            raise AwsError("KeyUnavailableException", str(error), 500) from error

    async def _require_usable(self, call: RequestContext, wanted: str) -> ResolvedKey:
        found = await self._permitted(call, await self._resolver.find(call, wanted))
        _require_enabled(found)
        return found

    async def _permitted(self, call: RequestContext, found: ResolvedKey) -> ResolvedKey:
        """The key, if the caller may use it. The platform's own keys serve people only through a service; a service
        in its own name uses no others.
        """
        await self._access.require(call, found.key.metadata.name, found.namespace)
        platform = self._resolver.is_platform(found)
        if platform and not call.caller.service and not call.caller.through:
            raise errors.platform(found.arn)
        if call.caller.service and not platform:
            text = f"{call.caller.service} uses keys of people only in the name of who asks it"
            raise AwsError("AccessDeniedException", text)
        return found

    async def _key_of_ciphertext(self, call: RequestContext, blob: bytes, wanted: str | None) -> ResolvedKey:
        """The key that made `blob`, checked against the one the caller expects, if any."""
        try:
            uid = key_version_of(blob).uid
        except BadCiphertext:
            raise errors.invalid_ciphertext() from None
        if wanted is not None:
            found = await self._permitted(call, await self._resolver.find(call, wanted))
            if uid_of(found.key) != uid:
                raise errors.incorrect_key()
        else:
            key = await self._keyring.key_by_uid(uid, call.namespace, anywhere=bool(call.caller.service))
            if key is None:
                raise errors.invalid_ciphertext()
            found = await self._permitted(call, self._resolver.resolved(call, key))
        _require_enabled(found)
        return found


def _require_enabled(found: ResolvedKey) -> None:
    if found.key.spec.deletion_date is not None or found.key.metadata.deletion_timestamp is not None:
        raise errors.pending_deletion(found.arn)
    if not found.key.spec.enabled:
        raise errors.disabled(found.arn)


def _required_bytes(request: Json, name: str) -> bytes:
    if not request.get(name):
        raise errors.invalid(f"{name} is required.")
    return bytes(request[name])


def _only_symmetric(request: Json, name: str) -> None:
    if request.get(name, SYMMETRIC) != SYMMETRIC:
        raise AwsError("InvalidKeyUsageException", f"{request[name]} is not an algorithm of a symmetric key")


def _refuse_dry_run(request: Json) -> None:
    if request.get("DryRun"):
        raise AwsError(
            "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", 412
        )
