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
    notes="Members that are refused answer an error when they are given, and change nothing. Documents that ask for "
    "logging, acceleration, replication or payment by requesters are refused with the reason; those "
    "that ask for none are taken. Events go to queues, topics and the account's event bus, not to functions. "
    "Websites are served at `BUCKET.s3-website.NAME`. "
    "The bodies of "
    "CreateBucket, CompleteMultipartUpload and DeleteObjects are refused for every member that is not known. "
    "Uploads by browsers' forms (POST Object), presigned requests, and host names for buckets are done as well.",
    differences=(
        "Names of buckets are unique in an account. Who names a bucket that their own account does not have means "
        "the oldest of that name.",
        "Every region is accepted in signatures; a bucket tells the one that it was made with.",
        "Who makes a bucket that they have already, and asks for nothing more, is told that it is there.",
        "`If-None-Match` of a write may name ETags, where AWS answers `NotImplemented`.",
        "Members of the query that nobody knows are refused, unless they begin with `x-`.",
        "Signatures of version 2 are refused, but for those of the policies of browsers' forms.",
        "MFA delete is refused, and so is every storage class but `STANDARD`.",
        "A malformed id of a version is one that is not there: `NoSuchVersion`.",
        "Attributes of objects list the parts of uploads without checksums, too.",
        "Who does not sign reaches buckets whose names are the first segment of one of the cloud's own paths (`api`, "
        "`auth`, `services`, `ui` and their kind) by their host names alone.",
    ),
)
