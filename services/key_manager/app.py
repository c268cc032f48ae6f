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
from services.sdk.aws.gate import gate_for
from services.sdk.aws.model import load_model
from services.sdk.aws.router import AwsJsonApp
from services.sdk.health import Check
from services.sdk.instance import Instance


def create_app(instance: Instance) -> ServiceApp:
    """The manifest's factory."""
    keyring = Keyring(instance.resources, Seal(instance.secret("root-key")))
    operations = Operations(keyring, Resolver(keyring, instance.resources), Powers(instance), instance.clock)
    gate = gate_for(instance, MANIFEST.speaks)
    door = AwsJsonApp(load_model("kms"), operations, gate, kms_words, key_of, understood=members())

    return build_app(
        instance,
        app=door,
        ready=[
            Check("conductor", lambda: keyring.fault, essential=False),
            Check("keys", lambda: keyring.unread),
        ],
        tasks=[keyring.keys.run, keyring.aliases.run, keyring.materials.run, Resealing(keyring).run],
    )
