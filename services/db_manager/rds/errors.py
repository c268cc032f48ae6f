"""Errors in the words of RDS. Source: Amazon RDS API reference, and its answers as public tests recorded them."""

from __future__ import annotations

from crds.errors import ApiError, Conflict, Forbidden, Invalid, TooManyRequests, Unavailable
from services.sdk.aws.errors import AwsError
from services.sdk.aws.translation import translate


def instance_not_found(identifier: str) -> AwsError:
    return AwsError("DBInstanceNotFound", f"DBInstance {identifier} not found.", 404)


def instance_exists() -> AwsError:
    return AwsError("DBInstanceAlreadyExists", "DB instance already exists")


def invalid_state(message: str) -> AwsError:
    return AwsError("InvalidDBInstanceState", message)


def group_not_found(name: str) -> AwsError:
    return AwsError("DBParameterGroupNotFound", f"DBParameterGroup not found: {name}", 404)


def group_exists(name: str) -> AwsError:
    return AwsError("DBParameterGroupAlreadyExists", f"Parameter group {name} already exists")


def invalid_group_state(message: str) -> AwsError:
    return AwsError("InvalidDBParameterGroupState", message)


def snapshot_not_found(name: str) -> AwsError:
    return AwsError("DBSnapshotNotFound", f"DBSnapshot {name} not found.", 404)


def snapshot_exists(name: str) -> AwsError:
    return AwsError("DBSnapshotAlreadyExists", f"Cannot create the snapshot because one named {name} already exists.")


def invalid_snapshot_state(message: str) -> AwsError:
    return AwsError("InvalidDBSnapshotState", message)


def no_backups(identifier: str) -> AwsError:
    return AwsError("PointInTimeRestoreNotEnabled", f"The instance {identifier} has no automated backups.")


def invalid_value(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", message)


def invalid_combination(message: str) -> AwsError:
    return AwsError("InvalidParameterCombination", message)


def missing(message: str) -> AwsError:
    return AwsError("MissingParameter", message)


def as_rds_error(error: ApiError) -> AwsError:
    """Translate an error of the resource API to the one RDS would give."""
    if isinstance(error, Forbidden):
        return AwsError("AccessDenied", error.message, 403)
    if isinstance(error, TooManyRequests):
        return AwsError("Throttling", error.message)
    if isinstance(error, Conflict):
        return invalid_state(error.message)
    if isinstance(error, Invalid):
        return invalid_value(error.message)
    if isinstance(error, Unavailable):
        return AwsError("ServiceUnavailable", error.message, 503)
    return translate(error)
