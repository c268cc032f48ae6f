"""What holds for DB instances, whoever writes."""

from __future__ import annotations

from crds.invariants import Transition, is_dying, on, spec_of


@on("delete")
def is_protected(transition: Transition) -> None:
    """What RDS protects from deletion is protected from kubectl, too, and from the deletion of its namespace."""
    attributes = spec_of(transition.before).get("rds") or {}
    if attributes.get("deletionProtection") and not is_dying(transition.before):
        name = transition.key.name
        raise transition.conflict(
            "DeletionProtection",
            "it is protected from deletion: aws rds modify-db-instance --no-deletion-protection "
            f"--db-instance-identifier {name}",
        )
