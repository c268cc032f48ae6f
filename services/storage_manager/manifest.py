"""The manifest of storage_manager: an S3 API over encrypted local blobs."""

from __future__ import annotations

from crds.managed import Grant, ManagedService
from services.storage_manager.kinds import BUCKET

MANIFEST = ManagedService(
    name="storage_manager",
    title="Storage",
    summary="Buckets and objects over the S3 protocol, encrypted by default.",
    create="services.storage_manager.app:create",
    access_rules="services.storage_manager.access_rules:RULES",
    kinds=(BUCKET,),
    speaks=("s3",),
    protocol="s3",
    needs=("key_manager",),
    asks=("queue_manager", "schedule_manager"),
    known_as="s3.amazonaws.com",
    grants=(
        Grant("buckets", ("get", "list", "watch", "create", "update", "patch", "delete")),
        Grant("keys", ("use",)),
        Grant("eventbuses", ("use",)),
    ),
    acts=(Grant("buckets", ("get", "list", "create", "update", "delete", "replicate")), Grant("keys", ("use",))),
    starts_enabled=True,
    keeps_data=True,
    backup="services.storage_manager.backup:HOOKS",
)
