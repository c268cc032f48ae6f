"""Encryption with a symmetric Key: its newest material seals, the material a ciphertext names opens."""

from __future__ import annotations

from crds.errors import NotFound
from services.key_manager import errors
from services.key_manager.ciphertext import BadCiphertext, KeyVersion, decrypt, encrypt, key_version_of
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.keyring import Keyring
from services.key_manager.root_key import NotYetOurs, Unsealable

_LONGEST_CONTEXT = 8192


class SymmetricCipher:
    """Turns faults of the keyring into KMS's errors."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def encrypt(self, found: ResolvedKey, plaintext: bytes, context: dict[str, str]) -> bytes:
        """Raises AwsError."""
        if sum(len(name) + len(value) for name, value in context.items()) > _LONGEST_CONTEXT:
            raise errors.invalid(f"The encryption context is over {_LONGEST_CONTEXT} characters.")
        newest = await self._keyring.ensure_material(found.key)
        key_version = KeyVersion(newest.spec.key_uid, newest.spec.version)
        return encrypt(await self.material(key_version, found), key_version, plaintext, context)

    async def decrypt(self, found: ResolvedKey, blob: bytes, context: dict[str, str]) -> bytes:
        """Raises AwsError."""
        try:
            return decrypt(await self.material(key_version_of(blob), found), blob, context)
        except (BadCiphertext, NotFound):
            raise errors.invalid_ciphertext() from None

    async def material(self, key_version: KeyVersion, found: ResolvedKey) -> bytes:
        """Raises AwsError, NotFound."""
        try:
            return await self._keyring.open(key_version, found.namespace)
        except NotYetOurs as error:
            raise errors.root_key_on_its_way(error) from error
        except Unsealable as error:
            raise errors.unavailable(error) from error
