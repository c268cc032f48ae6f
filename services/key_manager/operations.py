"""Every KMS operation key_manager answers, gathered from three modules: keys, aliases, cryptography."""

from __future__ import annotations

from services.key_manager.caller_access import CallerAccess
from services.key_manager.key_lookup import Resolver
from services.key_manager.keyring import Keyring
from services.key_manager.operations_aliases import AliasOperations
from services.key_manager.operations_crypto import CryptoOperations
from services.key_manager.operations_keys import KeyOperations
from services.sdk.resources import Clock


class Operations(KeyOperations, AliasOperations, CryptoOperations):
    """What the KMS API calls. An operation that is missing here answers UnknownOperationException."""

    def __init__(self, keyring: Keyring, resolver: Resolver, access: CallerAccess, clock: Clock) -> None:
        KeyOperations.__init__(self, keyring, resolver, access, clock)
