"""Every operation secrets_manager answers, one module per topic."""

from __future__ import annotations

from services.sdk.aws.operations import declared_operations
from services.secrets_manager.operations.deletion import DeletionOperations
from services.secrets_manager.operations.listing import ListOperations, SecretListing
from services.secrets_manager.operations.policies import PolicyOperations
from services.secrets_manager.operations.random_passwords import RandomPasswordOperations
from services.secrets_manager.operations.rotation import RotationOperations
from services.secrets_manager.operations.secret_access import SecretAccess
from services.secrets_manager.operations.secrets import SecretOperations
from services.secrets_manager.operations.tags import TagOperations
from services.secrets_manager.operations.values import ValueOperations
from services.secrets_manager.operations.versions import VersionOperations

# An operation that is missing here answers UnknownOperationException.
OPERATIONS = declared_operations(
    SecretOperations,
    ValueOperations,
    VersionOperations,
    ListOperations,
    DeletionOperations,
    PolicyOperations,
    TagOperations,
    RotationOperations,
    RandomPasswordOperations,
)


def handlers(secrets: SecretAccess) -> list[object]:
    """What answers them."""
    listing = SecretListing(secrets)
    return [
        SecretOperations(secrets),
        ValueOperations(secrets, listing),
        VersionOperations(secrets),
        ListOperations(secrets, listing),
        DeletionOperations(secrets),
        PolicyOperations(secrets),
        TagOperations(secrets),
        RotationOperations(secrets),
        RandomPasswordOperations(secrets),
    ]
