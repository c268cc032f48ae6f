"""The policy of a bucket: what it may say beside the grammar, and compiled, as requests are judged by it.

Source: S3 user guide, "Policies and permissions in Amazon S3"; AWS's words for MalformedPolicy.
"""

from __future__ import annotations

from functools import lru_cache

from services.sdk.aws.arns import parse_arn
from services.sdk.aws.policy import NamedPolicy, PolicyError, check_resource
from services.sdk.aws.policy.document import Json, read_document, statements_of, texts_of
from services.sdk.aws.policy.principals import EVERYBODY, is_account
from services.sdk.aws.policy.wildcards import matcher, pattern_of
from services.storage_manager.errors import S3Error

LONGEST = 20 * 1024
_OF_BUCKETS = "arn:aws:s3:::"
_IDS = ("AIDA", "AROA")


def check_bucket_policy(text: str, bucket: str) -> str:
    """Raises S3Error MalformedPolicy."""
    if not text.lstrip().startswith("{"):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    if len(text.encode()) > LONGEST:
        raise _malformed(f"Normalized policy document exceeds the maximum allowed size of {LONGEST} bytes.")
    try:
        check_resource(text, more_in_sids=" ")
        statements = statements_of(read_document(text))
    except PolicyError as wrong:
        raise _malformed(str(wrong)) from wrong
    for statement in statements:
        _check_statement(statement, bucket)
    return text


@lru_cache(maxsize=1024)
def compiled(text: str) -> NamedPolicy:
    """Raises PolicyError."""
    return NamedPolicy("bucket policy", check_resource(text, more_in_sids=" "))


def _check_statement(statement: Json, bucket: str) -> None:
    for action in _texts(statement, "Action"):
        if action != "*" and not action.lower().startswith("s3:"):
            raise _malformed("Policy has invalid action")
    for resource in _texts(statement, "Resource"):
        if not _is_in(resource, bucket):
            raise _malformed("Policy has invalid resource")
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    for name in texts_of(principal.get("AWS", []), "Principal.AWS") if isinstance(principal, dict) else ():
        if not _is_principal(name):
            raise _malformed("Invalid principal in policy")


def _texts(statement: Json, name: str) -> tuple[str, ...]:
    found = statement.get(name, statement.get(f"Not{name}"))
    return texts_of(found, name) if found is not None else ()


def _is_in(resource: str, bucket: str) -> bool:
    """The bucket, or what lies in it; a wildcard may stand for its name."""
    if not resource.startswith(_OF_BUCKETS):
        return resource == "*"
    return matcher(pattern_of(resource.removeprefix(_OF_BUCKETS).partition("/")[0]))(bucket)


def _is_principal(name: str) -> bool:
    if name == EVERYBODY or is_account(name) or name.startswith(_IDS):
        return True
    arn = parse_arn(name)
    return arn is not None and arn.service in ("iam", "sts") and bool(arn.account) and "*" not in arn.resource


def _malformed(why: str) -> S3Error:
    return S3Error("MalformedPolicy", why)
