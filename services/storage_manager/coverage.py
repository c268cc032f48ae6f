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
        ("rights are policies of buckets, not tags of them", ("BucketAbac",)),
        ("an older form, which SDKs write no more", ("BucketLifecycle", "BucketNotification")),
        ("objects are not moved to where they must be fetched from first", ("RestoreObject",)),
        ("an object is written again to be sealed otherwise", ("UpdateObjectEncryption",)),
        ("there are no directory buckets", ("DirectoryBuckets", "CreateSession", "RenameObject")),
        ("objects are read as they are", ("SelectObjectContent", "WriteGetObjectResponse", "Torrent")),
        ("nothing is told of objects elsewhere", ("Inventory", "Analytics", "Metrics")),
        ("there is no table of objects", ("Metadata", "Annotation")),
        ("there is one storage class", ("IntelligentTiering",)),
    ),
    answer="NotImplemented",
    notes="Members that are refused answer an error when they are given, and change nothing. The bodies of "
    "CreateBucket, CompleteMultipartUpload and DeleteObjects are refused for every member that is not known.",
)
