"""Puts storage_replica together: a data folder that follows storage_manager's, and S3 to read from it."""

from __future__ import annotations

from functools import partial

from anyio import to_thread

from services.sdk.aws.authentication import authenticator_for
from services.sdk.context import ServiceContext
from services.sdk.health import Check
from services.sdk.service import Service
from services.storage_manager.auth import S3Authenticator
from services.storage_manager.bucket_directory import ResourceBucketDirectory
from services.storage_manager.compaction import Compactor
from services.storage_manager.context import S3Context
from services.storage_manager.damaged_data import DamagedData
from services.storage_manager.data_keys import DataKeys
from services.storage_manager.data_layout import open_data
from services.storage_manager.garbage_collection import CopyCollector
from services.storage_manager.kms_client import KmsClient
from services.storage_manager.manifest import MANIFEST as FOLLOWED
from services.storage_manager.metrics import CopyMetrics, StorageMetrics
from services.storage_manager.replication.copy import Copy
from services.storage_manager.replication.follower import Follower
from services.storage_manager.replication.read_only import ReadOnlyApp
from services.storage_manager.replication.source import Source
from services.storage_manager.s3_app import S3App
from services.storage_manager.scrubbing import Scrubber, ScrubState


def create(context: ServiceContext) -> Service:
    """One follower, and what keeps its segments small and its bytes whole."""
    metadata, blobs = open_data(context.data)
    kms = KmsClient(context.service_client("key-manager"))
    scrubbed = ScrubState(context.data / "scrub.json")
    keys = DataKeys(metadata, kms, rewraps=False)
    s3 = S3Context(ResourceBucketDirectory(context), metadata, blobs, keys, damaged=DamagedData(scrubbed.damaged))
    source = Source(context.service_client("storage-manager"), context.name)
    follower = Follower(source, Copy(metadata, s3.data), metadata, s3.data, context.data)
    metrics = StorageMetrics(context.metrics.registry, s3.damaged)
    CopyMetrics(context.metrics.registry, lambda: follower.behind)
    compactor, collector = Compactor(s3.data.small), CopyCollector(metadata, s3.data)
    scrubber = Scrubber(metadata, s3.data, scrubbed, record=metrics.record_scrubbed)
    authenticator = S3Authenticator(authenticator_for(context, FOLLOWED.speaks), context.clock)
    return Service(
        app=ReadOnlyApp(S3App(s3, authenticator), follower.unfit),
        checks=[
            Check("copy", follower.unfit),
            Check("storage-manager", lambda: follower.fault, essential=False),
            Check("key-manager", lambda: kms.fault, essential=False),
        ],
        tasks=[kms.run, follower.run, collector.run, compactor.run, scrubber.run],
        on_stop=[partial(to_thread.run_sync, s3.data.small.close)],
    )
