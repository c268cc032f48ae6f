"""The front page of iam_manager: AWS IAM and STS over the directory of this cloud."""

from __future__ import annotations

from crds.kinds.oidc_provider import OIDC_PROVIDER
from crds.managed import Grant, ManagedService
from services.iam_manager.kinds import IAM_ACCOUNT, INSTANCE_PROFILE

_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch", "delete")
_OWN = ("iamusers", "iamgroups", "iamroles", "iampolicies", "instanceprofiles", "oidcproviders", "iamaccounts")
_KEYS = Grant("accesskeys", ("get", "create", "update", "delete"))
# To become a role in the caller's name: where a role of the cloud lets them use it, too.
_STS = (Grant("temporarycredentials", ("get", "create")), Grant("iamroles", ("use",)))

MANIFEST = ManagedService(
    name="iam_manager",
    title="Identities",
    summary="Users, groups, roles and policies over the AWS IAM and STS protocols.",
    create="services.iam_manager.app:create",
    access_rules="services.iam_manager.access_rules:RULES",
    kinds=(INSTANCE_PROFILE, OIDC_PROVIDER, IAM_ACCOUNT),
    speaks=("iam", "sts"),
    protocol="query",
    grants=(*(Grant(each, (*_READ, *_WRITE)) for each in _OWN), Grant("users", (*_READ, "create", "delete"))),
    acts=(*(Grant(each, (*_READ, *_WRITE)) for each in _OWN), Grant("users", ("create", "delete")), _KEYS, *_STS),
    starts_enabled=True,
)
