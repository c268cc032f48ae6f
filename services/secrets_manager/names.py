"""Names of secrets: as AWS calls them, as resources are called, and ARNs with their random end. Light and pure.

Source: AWS Secrets Manager User Guide, "Secrets Manager quotas", "ARN of a secret".
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

from services.sdk.aws.arns import parse_arn
from services.sdk.aws.resource_names import DEFAULT_REGION

LONGEST = 512
_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+=.@-!")
_ENDINGS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ENDING = 6


class SecretName(NamedTuple):
    """What a SecretId can mean. ending: that of a whole ARN, empty where it may be any. region: empty for the
    caller's own.
    """

    name: str
    ending: str = ""
    region: str = ""
    account: str = ""


def name_fault(name: str) -> str | None:
    """Why that is no name of a secret, or None."""
    if not 1 <= len(name) <= LONGEST or not _SIGNS.issuperset(name):
        return (
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
        )
    return None


@lru_cache(maxsize=4096)
def ending_of(uid: str) -> str:
    """The six characters that no other secret of the same name has, not even the next one."""
    number = int.from_bytes(hashlib.sha256(b"aerekos secret\x00" + uid.encode()).digest(), "big")
    found = ""
    for _ in range(_ENDING):
        number, digit = divmod(number, len(_ENDINGS))
        found += _ENDINGS[digit]
    return found


def secret_arn(region: str, account: str, name: str, ending: str) -> str:
    """`arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/db-a1B2c3`."""
    return f"arn:aws:secretsmanager:{region or DEFAULT_REGION}:{account}:secret:{name}-{ending}"


def meanings_of(secret_id: str) -> list[SecretName]:
    """What that SecretId can mean, the likeliest first: an ARN may lack its end. Nothing for other ARNs."""
    if not secret_id.startswith("arn:"):
        return [SecretName(secret_id)]
    arn = parse_arn(secret_id)
    if arn is None or arn.service != "secretsmanager" or not arn.resource.startswith("secret:"):
        return []
    rest = arn.resource.removeprefix("secret:")
    name, dash, ending = rest.rpartition("-")
    partial = SecretName(rest, "", arn.region, arn.account)
    if dash and name and len(ending) == _ENDING:
        return [SecretName(name, ending, arn.region, arn.account), partial]
    return [partial]


def record_name(uid: str, version_id: str) -> str:
    """What the SecretVersion resource is called."""
    return f"sv-{uid}-{hashlib.sha256(version_id.encode()).hexdigest()[:16]}"
