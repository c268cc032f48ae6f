"""The manifest of storage_replica: storage_manager's second role, in a process and on a worker of its own.

Its program is storage_manager's (`services.storage_manager.replication.app`): a copy is read as what it is made of.
"""

from __future__ import annotations

from crds.managed import Grant, ManagedService

MANIFEST = ManagedService(
    name="storage_replica",
    title="Storage replica",
    summary="A second copy of all objects on another worker, which is read from while storage_manager is away.",
    create="services.storage_manager.replication.app:create",
    needs=("key_manager", "storage_manager"),
    grants=(Grant("buckets", ("get", "list", "watch", "replicate")), Grant("keys", ("use",))),
    acts=(Grant("buckets", ("get", "list", "create", "update", "delete")), Grant("keys", ("use",))),
    stands_in_for="storage_manager",
)
