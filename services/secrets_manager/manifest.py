"""The front page of secrets_manager: AWS Secrets Manager for secrets that are resources."""

from __future__ import annotations

from crds.managed import Grant, ManagedService
from services.secrets_manager.kinds import MANAGED_SECRET, SECRET_VERSION

_ALL = ("get", "list", "watch", "create", "update", "patch", "delete")

MANIFEST = ManagedService(
    name="secrets_manager",
    title="Secrets",
    summary="Secrets with versions, rotation and delivery, over the AWS Secrets Manager protocol.",
    create="services.secrets_manager.app:create",
    access_rules="services.secrets_manager.access_rules:RULES",
    kinds=(MANAGED_SECRET, SECRET_VERSION),
    speaks=("secretsmanager",),
    token_header="x-vault-token",  # noqa: S106 - a header's name
    needs=("key_manager",),
    starts_enabled=True,
    activation="onDemand",
    grants=(
        Grant("managedsecrets", _ALL),
        Grant("secretversions", _ALL),
        Grant("keys", ("use",)),
        Grant("services", ("get",)),
        Grant("secrets", ("get", "create", "update", "delete"), group=""),
    ),
    acts=(
        Grant("managedsecrets", ("get", "list", "create", "patch", "delete", "use")),
        Grant("keys", ("use",)),
    ),
)
