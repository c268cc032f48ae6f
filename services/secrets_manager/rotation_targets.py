"""What RotationLambdaARN may be here: an HTTPS address, or one of AWS's own rotation functions by its name. Light.

https://rotate.example.com/db
arn:aws:lambda:us-east-1:111122223333:function:SecretsManagerRDSPostgreSQLRotationSingleUser
"""

from __future__ import annotations

from urllib.parse import urlsplit

from services.sdk.aws.arns import parse_arn

POSTGRES_SINGLE_USER = "SecretsManagerRDSPostgreSQLRotationSingleUser"
POSTGRES_MULTI_USER = "SecretsManagerRDSPostgreSQLRotationMultiUser"
ACCESS_KEY = "SecretsManagerIAMAccessKeyRotation"
"""Ours: AWS has no function for access keys."""
BUILT_IN = frozenset({POSTGRES_SINGLE_USER, POSTGRES_MULTI_USER, ACCESS_KEY})


def target_fault(target: str) -> str | None:
    """Why nothing can be rotated by that, or None."""
    if target.startswith("arn:"):
        return None if built_in(target) else f"of functions, there are {', '.join(sorted(BUILT_IN))}"
    try:
        parts = urlsplit(target)
        fits = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits or not target.isascii() or any(each.isspace() for each in target):
        return "must be an https address, or the ARN of a function that is built in"
    if parts.username is not None or parts.fragment:
        return "an address has no user, password or fragment here"
    return None


def built_in(target: str) -> str:
    """The name of the built-in function that an ARN ends with; empty for all else."""
    arn = parse_arn(target)
    if arn is None or arn.service != "lambda" or not arn.resource.startswith("function:"):
        return ""
    name = arn.resource.removeprefix("function:")
    return name if name in BUILT_IN else ""
