"""What each KMS operation is called in permissions, what it asks of its caller, and which members it understands.

The one place to read it: operations ask by this table, and the API refuses members that are not in it. A caller
needs `verb` on `resource` (Kubernetes RBAC); `GenerateRandom` touches nothing and asks for nothing.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Verb = Literal["get", "list", "create", "patch", "delete", "use"]
_CIPHER = frozenset({"EncryptionContext", "EncryptionAlgorithm", "DryRun"})

_REENCRYPT = frozenset(
    {
        "CiphertextBlob",
        "SourceKeyId",
        "SourceEncryptionContext",
        "SourceEncryptionAlgorithm",
        "DestinationKeyId",
        "DestinationEncryptionContext",
        "DestinationEncryptionAlgorithm",
        "DryRun",
    }
)


class Permission(NamedTuple):
    """`action` as IAM writes it. `members`: what of the request is honoured or judged by its value."""

    action: str
    verb: Verb | None
    resource: Literal["keys", "keyaliases", ""]
    members: frozenset[str]


def _keys(operation: str, verb: Verb, *members: str) -> Permission:
    return Permission(f"kms:{operation}", verb, "keys", frozenset({"KeyId", *members}))


def _aliases(operation: str, verb: Verb, *members: str) -> Permission:
    return Permission(f"kms:{operation}", verb, "keyaliases", frozenset(members))


PERMISSIONS: dict[str, Permission] = {
    "CreateKey": Permission(
        "kms:CreateKey",
        "create",
        "keys",
        frozenset({"Description", "KeyUsage", "CustomerMasterKeySpec", "KeySpec", "Origin", "MultiRegion"}),
    ),
    "DescribeKey": _keys("DescribeKey", "get"),
    "ListKeys": Permission("kms:ListKeys", "list", "keys", frozenset({"Limit", "Marker"})),
    "UpdateKeyDescription": _keys("UpdateKeyDescription", "patch", "Description"),
    "EnableKey": _keys("EnableKey", "patch"),
    "DisableKey": _keys("DisableKey", "patch"),
    "EnableKeyRotation": _keys("EnableKeyRotation", "patch", "RotationPeriodInDays"),
    "DisableKeyRotation": _keys("DisableKeyRotation", "patch"),
    "RotateKeyOnDemand": _keys("RotateKeyOnDemand", "patch"),
    "GetKeyRotationStatus": _keys("GetKeyRotationStatus", "get"),
    "ScheduleKeyDeletion": _keys("ScheduleKeyDeletion", "patch", "PendingWindowInDays"),
    "CancelKeyDeletion": _keys("CancelKeyDeletion", "patch"),
    "CreateAlias": _aliases("CreateAlias", "create", "AliasName", "TargetKeyId"),
    "UpdateAlias": _aliases("UpdateAlias", "patch", "AliasName", "TargetKeyId"),
    "DeleteAlias": _aliases("DeleteAlias", "delete", "AliasName"),
    "ListAliases": _aliases("ListAliases", "list", "KeyId", "Limit", "Marker"),
    "Encrypt": _keys("Encrypt", "use", "Plaintext", *_CIPHER),
    "Decrypt": _keys("Decrypt", "use", "CiphertextBlob", *_CIPHER),
    "ReEncrypt": Permission("kms:ReEncrypt", "use", "keys", _REENCRYPT),
    "GenerateDataKey": _keys("GenerateDataKey", "use", "KeySpec", "NumberOfBytes", "EncryptionContext", "DryRun"),
    "GenerateDataKeyWithoutPlaintext": _keys(
        "GenerateDataKeyWithoutPlaintext", "use", "KeySpec", "NumberOfBytes", "EncryptionContext", "DryRun"
    ),
    "GenerateRandom": Permission("kms:GenerateRandom", None, "", frozenset({"NumberOfBytes"})),
}


def members() -> dict[str, frozenset[str]]:
    """What each operation understands, by its name."""
    return {operation: permission.members for operation, permission in PERMISSIONS.items()}
