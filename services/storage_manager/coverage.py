"""What of S3 is done here, and why the rest is refused."""

from __future__ import annotations

from services.sdk.aws.coverage import Coverage, Served
from services.sdk.aws.model import load_model
from services.sdk.aws.protocols.shapes import ShapeRef, input_ref
from services.storage_manager.permissions import PERMISSIONS
from services.storage_manager.s3_app import HANDLERS
from services.storage_manager.supported_parameters import ALWAYS, HEADERS, META, QUERY, is_condition

# One handler answers both.
_ALSO = {"ListObjectsV2": "ListObjects"}


def _served() -> dict[str, Served]:
    names = {**{name: name for name in HANDLERS}, **_ALSO}
    return {name: Served(f"{PERMISSIONS[own].verb} buckets", _refused(name, own)) for name, own in names.items()}


def _refused(name: str, own: str) -> tuple[str, ...]:
    """Members in headers and the query that `require_understood` refuses."""
    ref = input_ref(load_model("s3"), name)
    return tuple(each for each, member in (ref.members if ref else {}).items() if not _is_understood(own, member))


def _is_understood(operation: str, member: ShapeRef) -> bool:
    said = member.location_name or ""
    name = said.lower()
    if member.trait("location") == "querystring":
        return said in QUERY.get(operation, frozenset()) or name.startswith("x-")
    if member.trait("location") == "headers":
        return META in HEADERS[operation]
    if member.trait("location") != "header" or name in ALWAYS or name in HEADERS[operation]:
        return True
    return not name.startswith("x-amz-") and not is_condition(operation, name)


COVERAGE = Coverage(
    "s3",
    _served(),
    refused=(
        ("objects have no versions", ("Versioning", "ObjectVersions")),
        ("rights are roles on the Bucket, not ACLs", ("Acl", "OwnershipControls", "PublicAccessBlock")),
        ("rights are roles on the Bucket, not policies", ("Policy", "BucketAbac")),
        ("tags of buckets are labels of the Bucket; objects have none", ("Tagging",)),
        ("objects stay until they are deleted", ("Lifecycle", "RestoreObject")),
        ("objects cannot be locked", ("ObjectLock", "LegalHold", "Retention")),
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
