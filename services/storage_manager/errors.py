"""Refusals of the S3 API, by the names S3 clients know (S3 API reference, Error Responses)."""

from __future__ import annotations

import errno
from collections.abc import Mapping

STATUS = {
    "AccessControlListNotSupported": 400,
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "BadDigest": 400,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "EntityTooLarge": 400,
    "EntityTooSmall": 400,
    "IllegalVersioningConfigurationException": 400,
    "IncompleteBody": 400,
    "InsufficientStorage": 507,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidBucketName": 400,
    "InvalidDigest": 400,
    "InvalidEncryptionAlgorithmError": 400,
    "InvalidPart": 400,
    "InvalidPartNumber": 416,
    "InvalidPartOrder": 400,
    "InvalidPolicyDocument": 400,
    "InvalidRange": 416,
    "InvalidRedirectLocation": 400,
    "InvalidRequest": 400,
    "InvalidStorageClass": 400,
    "InvalidLocationConstraint": 400,
    "InvalidURI": 400,
    "KeyTooLongError": 400,
    "MalformedPOSTRequest": 400,
    "MalformedXML": 400,
    "MetadataTooLarge": 400,
    "MethodNotAllowed": 405,
    "MissingContentLength": 411,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "NoSuchVersion": 404,
    "NotImplemented": 501,
    "OperationAborted": 409,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "QuotaExceeded": 403,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "XAmzContentSHA256Mismatch": 400,
}
# Of configuration documents.
STATUS |= {
    "AccessForbidden": 403,
    "BadRequest": 400,
    "InvalidBucketAclWithObjectOwnership": 400,
    "InvalidBucketState": 409,
    "InvalidRetentionPeriod": 400,
    "InvalidTag": 400,
    "MalformedACLError": 400,
    "MalformedPolicy": 400,
    "MissingRequestBodyError": 400,
    "MissingSecurityHeader": 400,
    "InvalidBucketAclWithBlockPublicAccessError": 400,
    "NoSuchBucketPolicy": 404,
    "NoSuchCORSConfiguration": 404,
    "NoSuchLifecycleConfiguration": 404,
    "NoSuchObjectLockConfiguration": 404,
    "NoSuchPublicAccessBlockConfiguration": 404,
    "NoSuchTagSet": 404,
    "NoSuchWebsiteConfiguration": 404,
    "ObjectLockConfigurationNotFoundError": 404,
    "OwnershipControlsNotFoundError": 404,
    "ReplicationConfigurationNotFoundError": 404,
    "ServerSideEncryptionConfigurationNotFoundError": 404,
    "UnexpectedContent": 400,
    "UnresolvableGrantByEmailAddress": 400,
}


class S3Error(Exception):
    """One refusal. `code` is S3's name for it; the HTTP status follows from the code (`KMS.…` is always 400).

    `fields`: what its document has besides; `headers`: those of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message or code
        self.status = 400 if code.startswith("KMS.") else STATUS[code]
        self.fields, self.headers = dict(fields or {}), dict(headers or {})


def disk_full() -> S3Error:
    """507: clients try 500 and 503 again, which makes no room."""
    return S3Error("InsufficientStorage", "the disk of this service is full")


def is_disk_full(error: BaseException | None) -> bool:
    """Whether it says that there is no room: a file system's errors do, and SQLite's in words, wrapped or not."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "database or disk is full" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


class Corrupt(Exception):
    """A stored blob is not what was written. Never retryable, always logged."""
