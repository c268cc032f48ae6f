"""Puts key_manager together: keyring, operations, the KMS door, and what makes it ready."""

from __future__ import annotations

from services.key_manager.attribution import key_of
from services.key_manager.faults import kms_words
from services.key_manager.keyring import Keyring
from services.key_manager.manifest import MANIFEST
from services.key_manager.operations import Operations
from services.key_manager.permissions import members
from services.key_manager.powers import Powers
from services.key_manager.resealing import Resealing
from services.key_manager.resolving import Resolver
from services.key_manager.sealing import Seal
from services.sdk.app import ServiceApp, build_app
from services.sdk.aws.authentication import authenticator_for
from services.sdk.aws.model import load_model
from services.sdk.aws.router import AwsJsonApp
from services.sdk.context import ServiceContext
from services.sdk.health import Check


def create_app(context: ServiceContext) -> ServiceApp:
    """The manifest's factory."""
    keyring = Keyring(context.resources, Seal(context.secret("root-key")))
    operations = Operations(keyring, Resolver(keyring, context.resources), Powers(context), context.clock)
    authenticator = authenticator_for(context, MANIFEST.speaks)
    door = AwsJsonApp(load_model("kms"), operations, authenticator, kms_words, key_of, understood=members())

    return build_app(
        context,
        app=door,
        ready=[
            Check("conductor", lambda: keyring.fault, essential=False),
            Check("keys", lambda: keyring.unread),
        ],
        tasks=[keyring.keys.run, keyring.aliases.run, keyring.materials.run, Resealing(keyring).run],
    )
