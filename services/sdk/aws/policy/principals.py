"""Who asks, and the Principal element: whom a statement of a resource's policy is about.

How much an Allow of a resource's policy gives depends on how it names whoever asks: an account only lets its own
policies decide, a role stays within its boundary and the session's policy, all else is named directly.
Source: AWS IAM user guide, "Principal", "NotPrincipal", "Determining whether a request is allowed or denied".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

RequesterKind = Literal["anonymous", "root", "user", "session", "federated-user", "web-identity", "service"]
EVERYBODY = "*"
_ACCOUNT_DIGITS = 12


class Naming(IntEnum):
    """How a Principal element names whoever asks, the weakest first."""

    NOT = 0
    ACCOUNT = 1
    ROLE = 2
    DIRECT = 3


@dataclass(frozen=True, slots=True)
class Requester:
    """Whoever asks. arn: of the user or session; of the provider for a web identity, the name of a service.

    behind: the ARN of the role of a session, or of the user of a federated one. ids: unique ids (`AIDA...`) by which
    a policy may also name it.
    """

    kind: RequesterKind
    arn: str = ""
    account: str = ""
    behind: str = ""
    ids: tuple[str, ...] = ()

    @property
    def account_arn(self) -> str:
        return f"arn:aws:iam::{self.account}:root"

    def __str__(self) -> str:
        return self.arn or self.kind


@dataclass(frozen=True, slots=True)
class PrincipalElement:
    """`Principal` or `NotPrincipal`. names: by kind (AWS, Service, Federated, CanonicalUser), each a set."""

    names: Mapping[str, frozenset[str]]

    @property
    def everybody(self) -> bool:
        return EVERYBODY in self.names.get("AWS", ())

    def naming(self, who: Requester) -> Naming:
        """How it names them."""
        if self.everybody:
            return Naming.DIRECT
        if who.kind == "service":
            return _direct(who.arn in self.names.get("Service", ()))
        if who.kind == "web-identity":
            return _direct(who.arn in self.names.get("Federated", ()))
        aws = self.names.get("AWS", frozenset())
        if who.kind == "anonymous" or not aws:
            return Naming.NOT
        by_account = who.account in aws or who.account_arn in aws
        if who.arn in aws or any(each in aws for each in who.ids) or (by_account and who.kind == "root"):
            return Naming.DIRECT
        if who.behind and who.behind in aws:
            return Naming.ROLE
        return Naming.ACCOUNT if by_account else Naming.NOT

    def spares(self, who: Requester) -> bool:
        """As NotPrincipal of a Deny: whether all that they are is named, the account, the role and the session."""
        if self.everybody or who.kind in ("anonymous", "service", "web-identity", "root"):
            return self.naming(who) is not Naming.NOT
        aws = self.names.get("AWS", frozenset())
        account = who.account in aws or who.account_arn in aws
        direct = who.arn in aws or any(each in aws for each in who.ids)
        return account and direct and (not who.behind or who.behind in aws)


def principals_of(names: Mapping[str, Iterable[str]]) -> PrincipalElement:
    """From the element's values by kind."""
    return PrincipalElement({kind: frozenset(each) for kind, each in names.items()})


def is_account(text: str) -> bool:
    """Whether that is an account's number."""
    return len(text) == _ACCOUNT_DIGITS and text.isascii() and text.isdigit()


def _direct(named: bool) -> Naming:
    return Naming.DIRECT if named else Naming.NOT
