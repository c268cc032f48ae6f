"""The principal: who asks, in which groups, proven by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"
SERVICES = "system:services"
WORKERS = "system:workers"
CONDUCTOR = "system:conductor"
SERVICE_PREFIX = "system:service:"
WORKER_PREFIX = "system:worker:"
ACCOUNT_PREFIX, ACCOUNTS = "system:serviceaccount:", "system:serviceaccounts"
CONDUCTOR = "system:conductor"


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof of an identity: the claims that bind its token to something in the store, and when the proof
    ends, in seconds since 1970. `restricted`: good for nothing but choosing a password.
    """

    binding: Mapping[str, str | int]
    ends_at: float
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Principal:
    """A known identity. `namespace` is where its AWS calls land; `acting` names who acts for it, if anybody.

    `uid` is that of the resource the identity was proven for, where the proof names one. `proof` is None where no
    token can be made of it: for certificates, and for those somebody else acts for. `actors`: the managed services
    that act for it by its own identity token, the nearest first; it may no more than each of them does for callers.
    """

    name: str
    groups: frozenset[str]
    namespace: str = "default"
    acting: str = ""
    uid: str = ""
    proof: Proof | None = field(default=None, compare=False, repr=False)
    actors: tuple[str, ...] = ()

    @property
    def session(self) -> str:
        """The session this identity was proven by, or an empty string."""
        return str(self.proof.binding.get("sid", "")) if self.proof else ""

    @property
    def service(self) -> str:
        """The managed service this is, or an empty string."""
        return self.name.removeprefix(SERVICE_PREFIX) if self.name.startswith(SERVICE_PREFIX) else ""

    @property
    def worker(self) -> str:
        """The worker this is, or an empty string."""
        return self.name.removeprefix(WORKER_PREFIX) if self.name.startswith(WORKER_PREFIX) else ""

    @property
    def account(self) -> tuple[str, str] | None:
        """Namespace and name of the service account this is, or None."""
        if not self.name.startswith(ACCOUNT_PREFIX):
            return None
        namespace, _, name = self.name.removeprefix(ACCOUNT_PREFIX).partition(":")
        return namespace, name


def account_groups(namespace: str) -> frozenset[str]:
    """The groups of every service account in that namespace."""
    return frozenset({ACCOUNTS, f"{ACCOUNTS}:{namespace}"})
