"""Every KMS operation key_manager answers, one module per topic."""

from __future__ import annotations

from services.key_manager.key_lookup import Resolver
from services.key_manager.keyring import Keyring
from services.key_manager.operations.aliases import AliasOperations
from services.key_manager.operations.asymmetric import AsymmetricOperations
from services.key_manager.operations.crypto import CryptoOperations
from services.key_manager.operations.custom_stores import CustomStoreOperations
from services.key_manager.operations.data_keys import DataKeyOperations
from services.key_manager.operations.grants import GrantOperations
from services.key_manager.operations.import_material import ImportOperations
from services.key_manager.operations.key_access import KeyAccess
from services.key_manager.operations.keys import KeyOperations
from services.key_manager.operations.mac import MacOperations
from services.key_manager.operations.multi_region import MultiRegionOperations
from services.key_manager.operations.policies import PolicyOperations
from services.key_manager.operations.rotation import RotationOperations
from services.key_manager.operations.tags import TagOperations
from services.key_manager.pages import Pages
from services.key_manager.root_key import RootKeyCipher
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import declared_operations
from services.sdk.resources import Clock

# An operation that is missing here answers UnknownOperationException.
OPERATIONS = declared_operations(
    KeyOperations,
    RotationOperations,
    AliasOperations,
    CryptoOperations,
    DataKeyOperations,
    AsymmetricOperations,
    MacOperations,
    PolicyOperations,
    TagOperations,
    ImportOperations,
    GrantOperations,
    MultiRegionOperations,
    CustomStoreOperations,
)


def handlers(
    keyring: Keyring, resolver: Resolver, access: CallerAccess, cipher: RootKeyCipher, clock: Clock, pages: Pages
) -> list[object]:
    """What answers them."""
    keys = KeyAccess(keyring, resolver, access, cipher, clock)
    described = KeyOperations(keys, clock, pages)
    return [
        described,
        RotationOperations(keys, clock, pages),
        AliasOperations(keys, pages),
        CryptoOperations(keys),
        DataKeyOperations(keys),
        AsymmetricOperations(keys),
        MacOperations(keys),
        PolicyOperations(keys),
        TagOperations(keys, pages),
        ImportOperations(keys, cipher, clock),
        GrantOperations(keys, cipher, pages),
        MultiRegionOperations(keys, described),
        CustomStoreOperations(keys),
    ]
