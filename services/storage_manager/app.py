"""Puts storage_manager together: metadata index, blobs, keys, the S3 API, and what makes it ready."""

from __future__ import annotations

from functools import partial

from anyio import to_thread

from services.sdk.aws.authentication import authenticator_for
from services.sdk.context import ServiceContext
from services.sdk.health import Check
from services.sdk.service import Service
from services.storage_manager.auth import S3Authenticator
from services.storage_manager.bucket import BucketReconciler
from services.storage_manager.bucket_directory import ResourceBucketDirectory
from services.storage_manager.compaction import Compactor
from services.storage_manager.context import S3Context
from services.storage_manager.damaged_data import DamagedData
from services.storage_manager.data_keys import DataKeys
from services.storage_manager.data_layout import open_data
from services.storage_manager.expiration import Expiration
from services.storage_manager.garbage_collection import BlobCollector
from services.storage_manager.kms_client import KmsClient
from services.storage_manager.lost_keys import LostKeys
from services.storage_manager.manifest import MANIFEST
from services.storage_manager.metrics import ReplicationMetrics, StorageMetrics
from services.storage_manager.notifications.delivery import Delivery
from services.storage_manager.notifications.destinations import Destinations
from services.storage_manager.replication.condition import Replication
from services.storage_manager.replication.feed import Feed
from services.storage_manager.replication.instances import Instances
from services.storage_manager.replication.repairs import Repairs
from services.storage_manager.replication.routes import ReplicatedApp, ReplicationRoutes
from services.storage_manager.s3_app import S3App
from services.storage_manager.scrubbing import Scrubber, ScrubState


def create(context: ServiceContext) -> Service:
    """One metadata index, for the operations, the collector and the reconciler."""
    metadata, blobs = open_data(context.data)
    buckets, kms = ResourceBucketDirectory(context), KmsClient(context.service_client("key-manager"))
    scrubbed = ScrubState(context.data / "scrub.json")
    s3 = S3Context(buckets, metadata, blobs, DataKeys(metadata, kms), damaged=DamagedData(scrubbed.damaged))
    metrics = StorageMetrics(context.metrics.registry, s3.damaged)
    scrubber = Scrubber(metadata, s3.data, scrubbed, record=metrics.record_scrubbed)
    instances = Instances(context.data / "instances.lock")
    feed = Feed(metadata, s3.data, context.clock.monotonic)
    s3.data.small.committer.replicates = feed
    copies = ReplicationMetrics(context.metrics.registry, feed.followers)
    routes = ReplicationRoutes(feed, Repairs(s3.data, copies.record_repaired))
    lost = LostKeys(metadata, kms, context.clock.monotonic)
    sends = s3.events.destinations = Destinations(
        context.service_client("queue-manager"), context.service_client("schedule-manager")
    )
    lock = context.data / "events.lock"
    delivery = Delivery(s3.events.outbox, sends, s3.commit, lock, s3.clock, metrics.record_lost_events)
    s3.events.wake = delivery.wake
    compactor = Compactor(s3.data.small)
    collector = BlobCollector(metadata, s3.data, erased=compactor.note_erased)
    authenticator = S3Authenticator(authenticator_for(context, MANIFEST.speaks), context.clock)
    return Service(
        app=ReplicatedApp(context, routes, S3App(s3, authenticator)),
        reconcilers=[
            BucketReconciler(
                metadata,
                s3.data.small.committer,
                lost,
                s3.damaged,
                s3.keys.rewrapper,
                Expiration(metadata, s3.commit, s3.events),
                Replication(feed, instances),
                delivery,
            )
        ],
        checks=[
            # Keys in memory go on working for minutes, and buckets without encryption always.
            Check("key-manager", lambda: kms.fault, essential=False),
        ],
        tasks=[kms.run, collector.run, compactor.run, scrubber.run, feed.keep, feed.followers.run, delivery.run],
        on_stop=[partial(to_thread.run_sync, s3.data.small.close), partial(to_thread.run_sync, instances.close)],
    )
