"""Puts key_manager together: keyring, operations, the KMS API, and what makes it ready."""

from __future__ import annotations

from services.key_manager.attribution import key_of
from services.key_manager.caller_access import CallerAccess
from services.key_manager.errors import as_kms_error
from services.key_manager.key_lookup import Resolver
from services.key_manager.keyring import Keyring
from services.key_manager.manifest import MANIFEST
from services.key_manager.operations import Operations
from services.key_manager.permissions import members
from services.key_manager.resealer import Resealer
from services.key_manager.root_key import RootKeyCipher
from services.sdk.app import ServiceApp, build_app
from services.sdk.aws.authentication import authenticator_for
from services.sdk.aws.model import load_model
from services.sdk.aws.router import AwsJsonApp
from services.sdk.context import ServiceContext
from services.sdk.health import Check


def create_app(context: ServiceContext) -> ServiceApp:
    """The manifest's factory."""
    keyring = Keyring(context.resources, RootKeyCipher(context.secret("root-key")))
    operations = Operations(keyring, Resolver(keyring, context.resources), CallerAccess(context), context.clock)
    authenticator = authenticator_for(context, MANIFEST.speaks)
    kms_app = AwsJsonApp(load_model("kms"), operations, authenticator, as_kms_error, key_of, understood=members())

    return build_app(
        context,
        app=kms_app,
        ready=[
            Check("conductor", lambda: keyring.fault, essential=False),
            Check("keys", lambda: keyring.unread),
        ],
        tasks=[keyring.keys.run, keyring.aliases.run, keyring.materials.run, Resealer(keyring).run],
    )
