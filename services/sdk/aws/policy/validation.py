"""What a policy of each kind may say, besides its grammar; refused in AWS's words, and in AWS's order.

    identity   managed and inline policies, boundaries and session policies: no Principal
    trust      of a role: Principal, actions of STS, no Resource
    resource   of a bucket, key, queue, topic or secret: Principal and Resource

Source: AWS IAM API reference, MalformedPolicyDocument; AWS's answers as public tests recorded them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.sdk.aws.policy.dates import seconds_of
from services.sdk.aws.policy.document import Json, PolicyError, policy_of, read_document, statements_of, texts_of
from services.sdk.aws.policy.operators import OPERATORS
from services.sdk.aws.policy.statements import Policy
from services.sdk.aws.policy.variables import VERSION_WITH_VARIABLES

_OLD = f"Policy document must be version {VERSION_WITH_VARIABLES} or greater."
_LEGACY = "The policy failed legacy parsing"
_SIDS = "Statement IDs (SID) in a single policy must be unique."
_SID_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_VENDOR_SIGNS = _SID_SIGNS | frozenset("-.")
_NO_REGION = {
    "iam": "IAM resource {} cannot contain region information.",
    "s3": "Resource {} can not contain region information.",
}
_IAM_PATHS = (
    "user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/",
    "sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/",
)  # fmt: skip
PARTITION = "aws"


def check_identity(text: str) -> Policy:
    """The compiled policy of an identity. Raises PolicyError."""
    document = read_document(text)
    statements = statements_of(document)
    if any("Principal" in each or "NotPrincipal" in each for each in statements):
        raise PolicyError("Policy document should not specify a principal.")
    policy = policy_of(document, text)
    if document.get("Version") != VERSION_WITH_VARIABLES:
        raise PolicyError(_OLD, "Version", f"is {VERSION_WITH_VARIABLES}")
    _check_legacy(statements)
    _check_sids(statements)
    _require(statements, "Action", "Policy statement must contain actions.")
    _require(statements, "Resource", "Policy statement must contain resources.")
    for resource in _texts(statements, "Resource"):
        _check_resource(resource)
    for action in _texts(statements, "Action"):
        _check_action(action)
    return policy


def check_trust(text: str) -> Policy:
    """The compiled trust policy of a role. Raises PolicyError."""
    document = read_document(text, "This policy contains invalid Json")
    statements = statements_of(document)
    for each in statements:
        if field := next((name for name in ("Resource", "NotResource") if name in each), None):
            raise PolicyError(f"Has prohibited field {field}")
    policy = policy_of(document, text)
    _check_legacy(statements)
    _check_sids(statements)
    _require(statements, "Action", "Policy statement must contain actions.")
    _require(statements, "Principal", "Missing required field Principal")
    for action in _texts(statements, "Action"):
        _check_action(action)
        if not action.lower().startswith("sts:") and action != "*":
            raise PolicyError("AssumeRole policy may only specify STS AssumeRole actions.")
    return policy


def check_resource(text: str, *, more_in_sids: str = "") -> Policy:
    """The compiled policy of a resource. Raises PolicyError. Whose resource it names, its service judges.

    more_in_sids: signs that their ids may have besides letters and digits, with services older than that rule.
    """
    document = read_document(text)
    statements = statements_of(document)
    policy = policy_of(document, text)
    _check_legacy(statements)
    _check_sids(statements, _SID_SIGNS | set(more_in_sids))
    _require(statements, "Action", "Policy statement must contain actions.")
    _require(statements, "Resource", "Policy statement must contain resources.")
    _require(statements, "Principal", "Missing required field Principal")
    for action in _texts(statements, "Action"):
        _check_action(action)
    return policy


def _texts(statements: Iterable[Json], name: str) -> Iterable[str]:
    for each in statements:
        for element in (name, f"Not{name}"):
            if element in each:
                yield from texts_of(each[element], element)


def _require(statements: Iterable[Json], name: str, message: str) -> None:
    for each in statements:
        if not (each.get(name) or each.get(f"Not{name}")):
            raise PolicyError(message)


def _check_sids(statements: Iterable[Json], signs: frozenset[str] = _SID_SIGNS) -> None:
    sids = [sid for each in statements if (sid := each.get("Sid"))]
    if len(set(sids)) != len(sids):
        raise PolicyError(_SIDS)
    if wrong := next((each for each in sids if not signs.issuperset(each)), None):
        raise PolicyError(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*",
            "Sid",
            f"{wrong[:128]!r} has other characters",
        )


def _check_legacy(statements: Iterable[Json]) -> None:
    """What the older of AWS's two parsers refuses: effects in other letters, dates that are none."""
    for each in statements:
        if each["Effect"] not in ("Allow", "Deny"):
            raise PolicyError(_LEGACY, "Effect", "is Allow or Deny, in these letters")
        for operator, keys in each.get("Condition", {}).items():
            if keys and _is_of_dates(operator):
                for values in keys.values():
                    _check_dates(values)


def _is_of_dates(operator: str) -> bool:
    plain = operator.rpartition(":")[2].removesuffix("IfExists")
    return plain in OPERATORS and plain.startswith("Date")


def _check_dates(values: Any) -> None:
    for each in values if isinstance(values, list) else [values]:
        if "$" not in str(each) and seconds_of(str(each)) is None:
            raise PolicyError(_LEGACY, "Condition", f"{str(each)[:128]!r} is no date")


def _check_action(action: str) -> None:
    if action == "*":
        return
    vendor, colon, name = action.partition(":")
    if not colon:
        raise PolicyError("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if ":" in name:
        raise PolicyError("Actions/Condition can contain only one colon.")
    if not _VENDOR_SIGNS.issuperset(vendor):
        raise PolicyError(f"Vendor {vendor} is not valid")


def _check_resource(resource: str) -> None:
    if resource == "*":
        return
    parts = resource.split(":", 5)
    if len(parts) == 1:
        raise PolicyError(f'Resource {resource} must be in ARN format or "*".')
    if parts[1] != PARTITION:
        name = ":".join([*parts, *["*"] * (6 - len(parts))])
        raise PolicyError(f'Partition "{parts[1]}" is not valid for resource "{name}".')
    if len(parts) == 2:
        raise PolicyError("Resource vendor must be fully qualified and cannot contain regexes.")
    if not parts[2] or ("::" in resource and len(parts) < 6):
        raise PolicyError(_LEGACY, "Resource", f"{resource[:128]!r} is no ARN")
    _check_name(resource, parts)


def _check_name(resource: str, parts: list[str]) -> None:
    service = parts[2]
    if service in _NO_REGION and len(parts) > 3 and parts[3] not in ("", "*"):
        raise PolicyError(_NO_REGION[service].format(resource))
    path = parts[5] if len(parts) == 6 else "*"
    if service == "iam" and path != "*" and not path.startswith(_IAM_PATHS):
        raise PolicyError(f'IAM resource path must either be "*" or start with {", ".join(_IAM_PATHS)}.')
    if not frozenset("*?").isdisjoint(service):
        raise PolicyError("Resource vendor must be fully qualified and cannot contain regexes.")
