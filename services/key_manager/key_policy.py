"""The policy of a Key: what may be one, what it is when nobody wrote one, and compiled, as requests are judged by it.

Source: AWS KMS Developer Guide, "Key policies in AWS KMS", "Default key policy".
"""

from __future__ import annotations

from functools import lru_cache

from services.sdk.aws.policy import NamedPolicy, PolicyError, parse_policy

NAME = "default"
LONGEST = 32_768
_DEFAULT = """{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::ACCOUNT:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}"""


def default_policy(account: str) -> str:
    """It lets the account decide: what its roles allow is allowed."""
    return _DEFAULT.replace("ACCOUNT", account)


def policy_fault(text: str) -> str | None:
    """Why that is no key policy, or None."""
    if len(text) > LONGEST:
        return f"a key policy has at most {LONGEST} characters, not {len(text)}"
    try:
        policy = parse_policy(text)
    except PolicyError as error:
        return str(error)
    for each in policy.statements:
        if each.principals is None:
            return f"Statement[{each.index}] must name a Principal"
        if each.resources is None:
            return f"Statement[{each.index}] must name a Resource"
        if not each.actions.texts:
            return f"Statement[{each.index}] must name an Action"
    return None


@lru_cache(maxsize=1024)
def compiled(text: str) -> NamedPolicy:
    """Raises PolicyError."""
    return NamedPolicy(NAME, parse_policy(text))
