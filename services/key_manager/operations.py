"""Every KMS operation key_manager answers: what three classes declare, about keys, aliases and cryptography."""

from __future__ import annotations

from services.key_manager.key_lookup import Resolver
from services.key_manager.keyring import Keyring
from services.key_manager.operations_aliases import AliasOperations
from services.key_manager.operations_crypto import CryptoOperations
from services.key_manager.operations_keys import KeyOperations
from services.key_manager.pages import Pages
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import declared_operations
from services.sdk.resources import Clock

# An operation that is missing here answers UnknownOperationException.
OPERATIONS = declared_operations(KeyOperations, AliasOperations, CryptoOperations)


def handlers(keyring: Keyring, resolver: Resolver, access: CallerAccess, clock: Clock, pages: Pages) -> list[object]:
    """What answers them."""
    return [
        KeyOperations(keyring, resolver, access, clock, pages),
        AliasOperations(keyring, resolver, access, pages),
        CryptoOperations(keyring, resolver, access),
    ]
