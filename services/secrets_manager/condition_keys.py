"""What a Secrets Manager request says to the conditions of policies.

Source: AWS Service Authorization Reference, "Condition keys for AWS Secrets Manager". Keys that have no meaning here
(`secretsmanager:AddReplicaRegions`, `aws:SourceVpc`) are never present.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.sdk.aws.policy.context import Given
from services.secrets_manager.stages import CURRENT

Json = dict[str, Any]
_OF_REQUEST = {
    "secretsmanager:SecretId": "SecretId",
    "secretsmanager:Name": "Name",
    "secretsmanager:Description": "Description",
    "secretsmanager:KmsKeyId": "KmsKeyId",
    "secretsmanager:RecoveryWindowInDays": "RecoveryWindowInDays",
    "secretsmanager:ForceDeleteWithoutRecovery": "ForceDeleteWithoutRecovery",
    "secretsmanager:VersionId": "VersionId",
    "secretsmanager:VersionStage": "VersionStage",
    "secretsmanager:RotationLambdaARN": "RotationLambdaARN",
    "secretsmanager:RotateImmediately": "RotateImmediately",
    "secretsmanager:BlockPublicPolicy": "BlockPublicPolicy",
}


def facts_of(operation: str, request: Json, tags: Mapping[str, str]) -> dict[str, Given]:
    """`tags`: those of the secret. Whoever asks for no version asks for the current one."""
    facts: dict[str, Given] = {key: request[name] for key, name in _OF_REQUEST.items() if name in request}
    if operation == "GetSecretValue" and not {"VersionId", "VersionStage"} & request.keys():
        facts["secretsmanager:VersionStage"] = CURRENT
    if operation == "RotateSecret":
        facts["secretsmanager:ModifyRotationRules"] = "RotationRules" in request
    for name, text in tags.items():
        facts[f"secretsmanager:ResourceTag/{name}"] = facts[f"aws:ResourceTag/{name}"] = text
    given = request.get("Tags") or ()
    facts |= {f"aws:RequestTag/{each['Key']}": each.get("Value") or "" for each in given if "Key" in each}
    names = [each["Key"] for each in given if "Key" in each] or list(request.get("TagKeys") or ())
    return {**facts, "aws:TagKeys": names} if names else facts
