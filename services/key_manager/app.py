"""Puts key_manager together: keyring, operations, the KMS API, and what makes it ready."""

from __future__ import annotations

from services.key_manager.alias import AliasReconciler
from services.key_manager.attribution import key_of
from services.key_manager.errors import as_kms_error
from services.key_manager.key import KeyReconciler
from services.key_manager.key_lookup import Resolver
from services.key_manager.keyring import Keyring
from services.key_manager.manifest import MANIFEST
from services.key_manager.operations import handlers
from services.key_manager.pages import Pages, page_tokens
from services.key_manager.resealer import Resealer
from services.key_manager.root_key import RootKeyCipher
from services.key_manager.root_key_check import RootKeyCheck
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.app import AwsApp
from services.sdk.aws.authentication import authenticator_for
from services.sdk.aws.model import load_model
from services.sdk.context import ServiceContext
from services.sdk.health import Check
from services.sdk.service import Service


def create(context: ServiceContext) -> Service:
    """One keyring, for the operations and the reconcilers."""
    root = context.secret("root-key")
    cipher, pages = RootKeyCipher(root), Pages(page_tokens(root))
    keyring = Keyring(context, cipher)
    root_key = RootKeyCheck(keyring)
    resolver, access = Resolver(keyring, context.resources), CallerAccess(context)
    operations = handlers(keyring, resolver, access, cipher, context.clock, pages)
    authenticator = authenticator_for(context, MANIFEST.speaks)
    kms_app = AwsApp(load_model("kms"), operations, authenticator, translate=as_kms_error, resource_of=key_of)

    return Service(
        app=kms_app,
        reconcilers=[KeyReconciler(keyring), AliasReconciler()],
        checks=[Check("root-key", root_key.fault), Check("root-key", root_key.loss, essential=False)],
        tasks=[Resealer(keyring).run],
    )
