"""Grants: what somebody may do with one key, given to them by name, until it is taken back. Pure but for tokens.

A grant counts from the moment it is written. Its token names it to a replica that has not heard of it yet; it gives
no right by itself. Source: AWS KMS Developer Guide, "Grants in AWS KMS", "Using grant constraints".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from services.key_manager.kinds import Key, KeyGrant, KeyGrantSpec
from services.key_manager.root_key import RootKeyCipher, Unsealable
from services.sdk.aws.policy import Requester

Json = dict[str, Any]
_PURPOSE = "grant token"
_WITH_CONTEXT = frozenset(
    {
        "Encrypt",
        "Decrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
    }
)
_BY_USAGE: Mapping[str, frozenset[str]] = {
    "ENCRYPT_DECRYPT": _WITH_CONTEXT,
    "SIGN_VERIFY": frozenset({"Sign", "Verify"}),
    "GENERATE_VERIFY_MAC": frozenset({"GenerateMac", "VerifyMac"}),
    "KEY_AGREEMENT": frozenset({"DeriveSharedSecret"}),
    "ENCAPSULATE_DECAPSULATE": frozenset({"Encapsulate", "Decapsulate"}),
}
_ALWAYS = frozenset({"DescribeKey", "CreateGrant", "RetireGrant"})


class BadGrantToken(ValueError):
    """Not a grant token of this key manager."""


def is_of(grant: KeyGrant, key: Key) -> bool:
    """Return whether that grant is about that key."""
    same = (grant.metadata.namespace or "default") == (key.metadata.namespace or "default")
    return same and grant.spec.key == key.metadata.name


def is_for(grant: KeyGrant, who: Requester) -> bool:
    """Return whether that grant is given to them; to the role of a session it is given too."""
    return grant.spec.grantee in (who.arn, who.behind)


def allows(grant: KeyGrant, operation: str, encryption: Mapping[str, str]) -> bool:
    """Return whether that grant lets its grantee do this, with that encryption context."""
    if operation not in grant.spec.operations:
        return False
    return operation not in _WITH_CONTEXT or _within(grant.spec, encryption)


def wrong_operations(key: Key, operations: Iterable[str]) -> list[str]:
    """Those that a key of its usage never does."""
    spec, possible = key.spec, set(_BY_USAGE[key.spec.usage] | _ALWAYS)
    if spec.key_spec != "SYMMETRIC_DEFAULT" and not spec.key_spec.startswith("HMAC_"):
        possible.add("GetPublicKey")
    return sorted(set(operations) - possible)


def token_of(cipher: RootKeyCipher, grant: KeyGrant) -> str:
    """Another text each time, for the same grant."""
    named = f"{grant.metadata.namespace or 'default'}\x00{grant.metadata.name}"
    return base64.urlsafe_b64encode(cipher.close(named.encode(), _PURPOSE, 0)).decode()


def named_by(cipher: RootKeyCipher, token: str) -> tuple[str, str]:
    """The namespace and name of the grant a token is of. Raises BadGrantToken."""
    try:
        named = cipher.open(base64.urlsafe_b64decode(token.encode("ascii")), _PURPOSE, 0).decode()
    except (Unsealable, binascii.Error, UnicodeError, ValueError) as error:
        raise BadGrantToken("the grant token is not one of this key manager") from error
    namespace, _, name = named.partition("\x00")
    return namespace, name


def entry_of(grant: KeyGrant, arn: str, account: str) -> Json:
    """A grant as ListGrants shows it."""
    spec = grant.spec
    constraints = {
        "EncryptionContextEquals": spec.encryption_context_equals,
        "EncryptionContextSubset": spec.encryption_context_subset,
    }
    given = {name: value for name, value in constraints.items() if value is not None}
    return {
        "KeyId": arn,
        "GrantId": grant.metadata.name,
        "Name": spec.name,
        "CreationDate": grant.metadata.creation_timestamp,
        "GranteePrincipal": spec.grantee,
        "IssuingAccount": f"arn:aws:iam::{account}:root",
        "Operations": list(spec.operations),
        **({"RetiringPrincipal": spec.retiring} if spec.retiring else {}),
        **({"Constraints": given} if given else {}),
    }


def _within(spec: KeyGrantSpec, encryption: Mapping[str, str]) -> bool:
    if spec.encryption_context_equals is not None and dict(encryption) != spec.encryption_context_equals:
        return False
    wanted = spec.encryption_context_subset or {}
    return all(encryption.get(name) == value for name, value in wanted.items())
