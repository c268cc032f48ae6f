"""Invariants of buckets, whoever writes: what is stored outlives the wish to be rid of it."""

from __future__ import annotations

from collections.abc import Iterable

from crds.invariants import Body, Reference, Transition, is_dying, on, spec_of, status_of
from services.storage_manager.conditions import BucketReason

STORAGE_MANAGER = "system:service:storage-manager"
# Held by every bucket from its birth: whether it is empty is decided by storage-manager, in one transaction.
OBJECTS = "aerekos.cloud/objects"
DEFAULT_KEY = "alias/aws/s3"


@on("delete")
def keeps_objects(transition: Transition) -> None:
    """A bucket that holds objects is not even asked to go: it would take nothing new from then on."""
    objects = status_of(transition.before).get("objects") or 0
    if objects and not is_dying(transition.before):
        name, noun = transition.key.name, "object" if objects == 1 else "objects"
        text = f"the bucket you tried to delete is not empty: {objects} {noun}; aws s3 rm --recursive s3://{name}"
        raise transition.conflict(BucketReason.BUCKET_NOT_EMPTY, text)


def key_names(bucket: Body) -> Iterable[str]:
    """The KMS keys it names, and those that data in it was sealed with."""
    encryption = spec_of(bucket).get("encryption") or {}
    named = [encryption.get("key") or DEFAULT_KEY] if encryption.get("enabled", True) else []
    return [*named, *(status_of(bucket).get("keys") or ())]


KEYS = Reference("keys", key_names)
