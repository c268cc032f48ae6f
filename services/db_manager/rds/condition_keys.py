"""What an RDS request says to the conditions of policies.

Source: AWS Service Authorization Reference, "Condition keys for Amazon RDS". Keys that have no meaning here
(`rds:Vpc`, `rds:cluster-tag`) are never present.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.sdk.aws.policy.context import Given

Json = dict[str, Any]
_OF_REQUEST = {
    "rds:DatabaseClass": "DBInstanceClass",
    "rds:DatabaseEngine": "Engine",
    "rds:DatabaseName": "DBName",
    "rds:MultiAz": "MultiAZ",
    "rds:StorageEncrypted": "StorageEncrypted",
    "rds:StorageSize": "AllocatedStorage",
    "rds:PubliclyAccessible": "PubliclyAccessible",
    "rds:ManageMasterUserPassword": "ManageMasterUserPassword",
}


def facts_of(request: Json, tags: Mapping[str, str], noun: str) -> dict[str, Given]:
    """`tags`: those of the resource. `noun`: that of its ARN."""
    facts: dict[str, Given] = {key: request[name] for key, name in _OF_REQUEST.items() if name in request}
    for name, text in tags.items():
        facts[f"rds:{noun}-tag/{name}"] = facts[f"aws:ResourceTag/{name}"] = text
    given = [each for each in request.get("Tags") or () if each.get("Key")]
    for each in given:
        facts[f"rds:req-tag/{each['Key']}"] = facts[f"aws:RequestTag/{each['Key']}"] = each.get("Value") or ""
    names = [each["Key"] for each in given] or list(request.get("TagKeys") or ())
    return {**facts, "aws:TagKeys": names} if names else facts
