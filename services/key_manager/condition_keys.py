"""What a KMS request says to the conditions of policies and grants: who asks, for which key, with which context.

Source: AWS Service Authorization Reference, "Condition keys for AWS Key Management Service"; IAM "Global condition
keys". Keys that have no meaning here (`kms:RecipientAttestation:...`, `aws:SourceVpc`) are never present.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.kinds import Key
from services.key_manager.requester import requester_facts, requester_of
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.policy import Context

Json = dict[str, Any]
_OF_REQUEST = {
    "kms:MessageType": "MessageType",
    "kms:SigningAlgorithm": "SigningAlgorithm",
    "kms:MacAlgorithm": "MacAlgorithm",
    "kms:KeyAgreementAlgorithm": "KeyAgreementAlgorithm",
    "kms:EncryptionAlgorithm": "EncryptionAlgorithm",
    "kms:DataKeyPairSpec": "KeyPairSpec",
    "kms:GranteePrincipal": "GranteePrincipal",
    "kms:RetiringPrincipal": "RetiringPrincipal",
    "kms:GrantOperations": "Operations",
    "kms:BypassPolicyLockoutSafetyCheck": "BypassPolicyLockoutSafetyCheck",
    "kms:ScheduleKeyDeletionPendingWindowInDays": "PendingWindowInDays",
    "kms:RotationPeriodInDays": "RotationPeriodInDays",
    "kms:WrappingAlgorithm": "WrappingAlgorithm",
    "kms:WrappingKeySpec": "WrappingKeySpec",
    "kms:ExpirationModel": "ExpirationModel",
    "kms:ReplicaRegion": "ReplicaRegion",
    "kms:PrimaryRegion": "PrimaryRegion",
}


def facts_of_key(key: Key, aliases: Iterable[str]) -> dict[str, Any]:
    """What a key itself says to conditions, whoever asks for it."""
    spec = key.spec
    return {
        "kms:KeySpec": spec.key_spec,
        "kms:KeyUsage": spec.usage,
        "kms:KeyOrigin": spec.origin,
        "kms:MultiRegion": spec.multi_region,
        "kms:ResourceAliases": list(aliases),
        **{f"aws:ResourceTag/{name}": value for name, value in spec.tags.items()},
    }


def context_of(
    call: RequestContext, found: ResolvedKey, request: Json, encryption: Json, aliases: Iterable[str]
) -> Context:
    """`encryption`: the encryption context of the call, or of that half of it which is judged."""
    who = requester_of(call)
    given: dict[str, Any] = {
        **requester_facts(call),
        "aws:RequestedRegion": call.region,
        "aws:SecureTransport": True,
        "kms:CallerAccount": who.account,
        **facts_of_key(found.key, aliases),
        "kms:EncryptionContextKeys": list(encryption),
    }
    given |= {f"kms:EncryptionContext:{name}": value for name, value in encryption.items()}
    given |= {key: request[member] for key, member in _OF_REQUEST.items() if member in request}
    if (asked := str(request.get("KeyId", ""))).startswith("alias/") or ":alias/" in asked:
        given["kms:RequestAlias"] = asked[asked.index("alias/") :]
    if tags := request.get("Tags"):
        given |= {f"aws:RequestTag/{each['TagKey']}": each["TagValue"] for each in tags}
        given["aws:TagKeys"] = [each["TagKey"] for each in tags]
    return Context(given)
