"""The operations that are served: the declarations of these modules."""

from __future__ import annotations

from services.storage_manager import (
    buckets,
    copy_object,
    delete_objects,
    list_objects,
    list_uploads,
    list_versions,
    multipart,
    object_attributes,
    object_locks,
    object_tags,
    objects,
    versioning,
)
from services.storage_manager.configuration import bucket_access, bucket_documents, bucket_protection, object_acls
from services.storage_manager.notifications import configuring
from services.storage_manager.operations import S3Operation, declared_in

OPERATIONS: dict[str, S3Operation] = declared_in(
    *(buckets, versioning, list_versions, objects, copy_object, delete_objects, multipart, list_uploads),
    *(object_tags, object_locks, object_attributes, bucket_documents, bucket_access, object_acls),
    *(bucket_protection, list_objects, configuring),
)
