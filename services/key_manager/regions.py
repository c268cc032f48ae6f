"""Keys and regions: which Key somebody means who asks in one, and what multi-Region keys are to each other.

A key that AWS clients made is of the region they asked in; one without a region (`kubectl`, versions before) is in
all of them. The keys of a multi-Region family have one KeyId and one material, that of the first of them; each is a
Key of its own, with state, policy, tags and grants of its own. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from services.key_manager.key_state import key_arn, key_id
from services.key_manager.kinds import Key

Json = dict[str, Any]
REGION = re.compile(r"[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}")


def is_in(key: Key, region: str) -> bool:
    """Return whether a key is one of that region; of `""`, which services ask in, all are."""
    return not region or key.spec.region in ("", region)


def replica_name(id: str, region: str) -> str:
    """The Key resource of a replica; the first of its family is named by the KeyId itself."""
    return f"{id}-{region}"


def is_primary(key: Key) -> bool:
    """Return whether this is the key of its family that is rotated and replicated."""
    return key.spec.multi_region and key.spec.region == key.spec.primary_region


def family_of(key: Key, keys: Iterable[Key]) -> list[Key]:
    """The keys of that name in its namespace, this one included, by region."""
    id = key_id(key)
    members = [each for each in keys if each.spec.multi_region and key_id(each) == id]
    return sorted(members, key=lambda each: each.spec.region)


def configuration_of(key: Key, family: Iterable[Key], account: str) -> Json:
    """MultiRegion and MultiRegionConfiguration, as DescribeKey says them."""
    if not key.spec.multi_region:
        return {"MultiRegion": False}
    primary = key.spec.primary_region
    replicas = [each.spec.region for each in family if each.spec.region != primary]
    return {
        "MultiRegion": True,
        "MultiRegionConfiguration": {
            "MultiRegionKeyType": "PRIMARY" if is_primary(key) else "REPLICA",
            "PrimaryKey": _entry(key, primary, account),
            "ReplicaKeys": [_entry(key, each, account) for each in replicas],
        },
    }


def _entry(key: Key, region: str, account: str) -> Json:
    return {"Arn": key_arn(account, key_id(key), region), "Region": region}
