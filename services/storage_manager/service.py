"""Puts storage_manager together: book, blobs, keys, the S3 door, and what makes it ready."""

from __future__ import annotations

from services.sdk.app import ServiceApp, build_app
from services.sdk.aws.authentication import authenticator_for
from services.sdk.context import ServiceContext
from services.sdk.health import Check
from services.storage_manager.admitting import SdkGate
from services.storage_manager.app import S3
from services.storage_manager.house import House
from services.storage_manager.keys import Keys
from services.storage_manager.kms import PeerKms
from services.storage_manager.manifest import MANIFEST
from services.storage_manager.registry import Buckets
from services.storage_manager.storing import open_data
from services.storage_manager.sweeping import Sweeper


def create_app(context: ServiceContext) -> ServiceApp:
    """The manifest's factory."""
    book, blobs = open_data(context.data)
    buckets, peer = Buckets(context), context.peer("key-manager")
    kms = PeerKms(peer)
    house = House(buckets, book, blobs, Keys(book, kms))
    return build_app(
        context,
        app=S3(house, SdkGate(authenticator_for(context, MANIFEST.speaks))),
        ready=[
            Check("buckets", lambda: None if buckets.mirror.listed else buckets.mirror.fault),
            Check("conductor", lambda: buckets.mirror.fault, essential=False),
            # Keys in memory go on working for minutes, and buckets without encryption always.
            Check("key-manager", lambda: kms.fault, essential=False),
        ],
        tasks=[buckets.mirror.run, kms.run, Sweeper(book, blobs, house.readers).run],
        on_stop=[peer.aclose],
    )
