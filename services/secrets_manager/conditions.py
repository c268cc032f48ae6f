"""Words that ManagedSecrets carry in their status."""

from __future__ import annotations

from crds.term import Term


class SecretReason(Term):
    """Why a ManagedSecret is as its condition Reconciled says."""

    DELETED = "Deleted", "Its deletion date has come, and it was deleted with all its versions."
    SCHEDULED = (
        "ScheduledForDeletion",
        "It cannot be read, and is deleted with all its versions at its deletion date.",
    )
    EMPTY = "Empty", "It has no version yet."
    ROTATION_FAILED = "RotationFailed", "A step of its rotation failed; its current version is what it was."
    DELIVERY_FAILED = "DeliveryFailed", "Its current value could not be made a Kubernetes Secret."
    CURRENT = "Current", "It has a version that is current."
