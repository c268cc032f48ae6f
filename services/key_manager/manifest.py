"""The front page of key_manager: AWS KMS for keys that are resources."""

from __future__ import annotations

from crds.managed import Grant, ManagedService, RootSealed
from services.key_manager.kinds import KEY, KEY_ALIAS, KEY_GRANT, KEY_MATERIAL

_ALL = ("get", "list", "watch", "create", "update", "patch", "delete")

MANIFEST = ManagedService(
    name="key_manager",
    title="Keys",
    summary="Encryption keys that never leave the cloud, over the AWS KMS protocol.",
    create="services.key_manager.app:create",
    access_rules="services.key_manager.access_rules:RULES",
    kinds=(KEY, KEY_ALIAS, KEY_GRANT, KEY_MATERIAL),
    speaks=("kms",),
    secrets=("root-key",),
    root_sealed=(
        RootSealed(
            KEY_MATERIAL, "services.key_manager.root_key:generation_in", "services.key_manager.root_key:opener"
        ),
    ),
    grants=tuple(Grant(each, _ALL) for each in ("keys", "keyaliases", "keygrants", "keymaterials")),
    acts=(
        Grant("keys", ("get", "list", "create", "patch", "use")),
        Grant("keyaliases", ("list", "create", "patch", "delete")),
        Grant("keygrants", ("list", "create", "delete")),
    ),
    starts_enabled=True,
)
