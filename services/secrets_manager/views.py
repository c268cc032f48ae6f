"""Secrets and versions as Secrets Manager shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.sdk.aws.tags import tag_list
from services.secrets_manager.kinds import VersionStatus
from services.secrets_manager.secret import FoundSecret, stages_of

Json = dict[str, Any]


def described(found: FoundSecret) -> Json:
    """As DescribeSecret answers: labelled versions alone."""
    stages = {id: sorted(labels) for id, labels in stages_of(found.versions).items() if labels}
    return {**_common(found), **({"VersionIdsToStages": stages} if stages else {})}


def listed(found: FoundSecret) -> Json:
    """As ListSecrets answers."""
    stages = {id: sorted(labels) for id, labels in stages_of(found.versions).items() if labels}
    return {**_common(found), **({"SecretVersionsToStages": stages} if stages else {})}


def version_entry(version: VersionStatus) -> Json:
    """As ListSecretVersionIds answers."""
    return _given(
        VersionId=version.version_id,
        VersionStages=version.stages,
        CreatedDate=version.created_at,
        LastAccessedDate=version.accessed_on,
        KmsKeyIds=[version.key] if version.key else [],
    )


def created_at(found: FoundSecret) -> datetime | None:
    return found.secret.metadata.creation_timestamp


def changed_at(found: FoundSecret) -> datetime | None:
    return found.secret.status.changed_at or created_at(found)


def _common(found: FoundSecret) -> Json:
    spec, status = found.spec, found.secret.status
    return _given(
        ARN=found.arn,
        Name=found.label,
        Description=spec.description,
        KmsKeyId=spec.kms_key_id,
        **_rotation(found),
        LastChangedDate=changed_at(found),
        LastAccessedDate=status.accessed_on,
        DeletedDate=spec.deletion_date,
        CreatedDate=created_at(found),
    ) | ({} if spec.tags is None else {"Tags": tag_list(spec.tags)})


def _rotation(found: FoundSecret) -> Json:
    rules, status = found.spec.rotation, found.secret.status
    if rules is None:
        return {"LastRotatedDate": status.rotated_at}
    return {
        "RotationEnabled": rules.enabled,
        "RotationLambdaARN": rules.target,
        "RotationRules": _given(
            AutomaticallyAfterDays=rules.after_days, Duration=rules.duration, ScheduleExpression=rules.schedule
        ),
        "LastRotatedDate": status.rotated_at,
        "NextRotationDate": status.next_rotation_at,
    }


def _given(**members: Any) -> Json:
    """Without what there is nothing to say of."""
    return {name: value for name, value in members.items() if value not in (None, "", [], {})}
