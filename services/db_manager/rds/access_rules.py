"""What RDS asks of its callers, for whoever explains decisions."""

from __future__ import annotations

from services.db_manager.rds.operations import OPERATIONS
from services.sdk.aws.access_rules import AccessRules, Located, StoredObjects, permissions_of
from services.sdk.aws.arns import Arn


def locate(arn: Arn, objects: StoredObjects, namespace: str) -> Located:
    """`arn:aws:rds:eu-central-1:111122223333:db:orders` is the Database `orders`."""
    del objects, namespace
    return Located(arn.resource.partition(":")[2].lower(), str(arn))


RULES = AccessRules(permissions_of("rds", OPERATIONS), locate)
