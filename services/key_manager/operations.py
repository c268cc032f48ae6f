"""Every KMS operation key_manager answers, gathered from three rooms: keys, aliases, cryptography."""

from __future__ import annotations

from services.key_manager.keyring import Keyring
from services.key_manager.operations_aliases import AliasOperations
from services.key_manager.operations_crypto import CryptoOperations
from services.key_manager.operations_keys import KeyOperations
from services.key_manager.powers import Powers
from services.key_manager.resolving import Resolver
from services.sdk.resources import Clock


class Operations(KeyOperations, AliasOperations, CryptoOperations):
    """What the KMS door calls. An operation that is missing here answers UnknownOperationException."""

    def __init__(self, keyring: Keyring, resolver: Resolver, powers: Powers, clock: Clock) -> None:
        KeyOperations.__init__(self, keyring, resolver, powers, clock)
