"""The roles of the cloud in a decision of IAM's policies: what the conductor says a role allows, as a policy.

The conductor is asked first, for the very resource; this stands for its yes.
"""

from __future__ import annotations

from functools import lru_cache

from services.sdk.aws.policy import NamedPolicy, parse_policy

_ALL = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'


@lru_cache(maxsize=1)
def whatever_roles_allow() -> NamedPolicy:
    """An identity's policy that allows what is asked."""
    return NamedPolicy("roles", parse_policy(_ALL))
