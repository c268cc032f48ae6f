"""What of S3 is done here, and why the rest is refused."""

from __future__ import annotations

from services.sdk.aws.coverage import Coverage, Served
from services.sdk.aws.model import load_model
from services.storage_manager.handlers import OPERATIONS


def _served() -> dict[str, Served]:
    model = load_model("s3")
    return {name: Served(f"{each.verb} buckets", each.refused_members(model)) for name, each in OPERATIONS.items()}


COVERAGE = Coverage(
    "s3",
    _served(),
    refused=(
        ("rights are roles on the Bucket, not ACLs", ("Acl", "OwnershipControls", "PublicAccessBlock")),
        ("rights are roles on the Bucket, not policies", ("Policy", "BucketAbac")),
        ("tags of buckets are labels of the Bucket", ("BucketTagging",)),
        ("objects stay until they are deleted", ("Lifecycle", "RestoreObject")),
        ("objects cannot be locked", ("ObjectLockConfiguration",)),
        ("`spec.encryption` of the Bucket says it", ("Encryption",)),
        ("buckets of one cloud are not copied to another", ("Replication", "Accelerate")),
        ("there are no directory buckets", ("DirectoryBuckets", "CreateSession", "RenameObject")),
        ("objects are read as they are", ("SelectObjectContent", "WriteGetObjectResponse", "Torrent")),
        ("pages of buckets are not served", ("Website", "Cors")),
        ("nothing is told of objects elsewhere", ("Notification", "Logging", "Inventory", "Analytics", "Metrics")),
        ("there is no table of objects", ("Metadata", "Annotation")),
        ("nobody pays", ("RequestPayment", "IntelligentTiering")),
    ),
    answer="NotImplemented",
    notes="Members that are refused answer an error when they are given, and change nothing. The bodies of "
    "CreateBucket, CompleteMultipartUpload and DeleteObjects are refused for every member that is not known.",
)
