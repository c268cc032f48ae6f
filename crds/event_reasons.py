"""Reasons of Events: what happened to a resource, in one word (`reason` of core/v1 Event).

Besides these, a pass of a reconciler that fails is recorded as a Warning with the reason of its condition.
"""

from __future__ import annotations

from crds.term import Term


class EventReason(Term):
    """What happened."""

    # Instances of Services.
    STARTED = "Started", "A process of an instance was started."
    START_FAILED = "StartFailed", "A process of an instance could not be started."
    ADOPTED = "Adopted", "A process that outlived the conductor is supervised again, without a restart."
    INSTANCE_RECORD_UNREADABLE = (
        "InstanceRecordUnreadable",
        "The record of a running process cannot be read: it was ended, and is started again.",
    )
    STARTING = "Starting", "The Swarm starts an instance."
    RUNNING = "Running", "An instance runs and is not ready."
    READY = "Ready", "An instance serves."
    RECOVERED = "Recovered", "An instance serves again; the message says after how long."
    UNHEALTHY = "Unhealthy", "The readiness probe of an instance fails."
    LIVENESS_FAILED = "LivenessFailed", "An instance was killed, since its liveness probe failed."
    START_DEADLINE_EXCEEDED = "StartDeadlineExceeded", "An instance was killed, since it did not get ready in time."
    UNEXPECTED_LISTENER = "UnexpectedListener", "A program was ended, since it listens where it was not allowed to."
    CRASHED = "Crashed", "A process of an instance ended although nobody asked it to."
    TASK_FAILED = "TaskFailed", "A Swarm task of an instance ended with an error."
    FAILED = "Failed", "An instance failed, or its machine is gone."
    BACK_OFF = "BackOff", "An instance failed repeatedly, and its next start is delayed."
    COMPLETED = "Completed", "An instance of a job ran to its end."
    STOPPING = "Stopping", "An instance was asked to end."
    STOPPED = "Stopped", "An instance is gone."

    RELOADED = "Reloaded", "An engine was told to read its configuration again."
    RELOAD_FAILED = "ReloadFailed", "Another configuration could not be put in place; the one before holds."

    # Services.
    SUPERUSER_CREATED = "SuperuserCreated", "The Secret with the password of an engine's superuser was made."
    DATA_IN_TRASH = "DataInTrash", "The data of a deleted engine is kept for a week; the message says where."
    ROLLED_BACK = "RolledBack", "A new revision did not get ready, so the one before runs again."
    UPDATE_RESUMED = "UpdateResumed", "A paused update goes on."
    REBALANCED = "Rebalanced", "An instance is moved to a machine with fewer of them."
    DRIFT_CORRECTED = "DriftCorrected", "Somebody changed or removed what runs, and it was restored."
    TASK_STUCK = "TaskStuck", "A Swarm task did not get on, and was replaced."
    RUNTIME_UNREACHABLE = "RuntimeUnreachable", "Docker does not answer: nothing can be started or changed."
    RUNTIME_REACHABLE = "RuntimeReachable", "Docker answers again."

    # Workers.
    WORKER_READY = "WorkerReady", "Heartbeats of a worker arrive."
    WORKER_NOT_READY = "WorkerNotReady", "Heartbeats of a worker stopped."
    ADDRESS_CHANGED = "AddressChanged", "A machine has another address now."
    ADDRESS_REJECTED = "AddressRejected", "An agent claims an address that is not believed."
    IDENTITY_CONFLICT = "IdentityConflict", "An agent claims an address by which another worker is known."
    DRAINING = "Draining", "Instances are moved off a worker that is being deleted."
    PEERS_REACHABLE = "PeersReachable", "A worker reaches all others through the overlay network."
    PEERS_UNREACHABLE = "PeersUnreachable", "A worker does not reach all others through the overlay network."
    NAME_RESOLUTION_FAILED = "NameResolutionFailed", "The name of its peers resolves to nothing on a worker."

    # Backups.
    BACKUP_SUCCEEDED = "BackupSucceeded", "A backup of the cloud is whole."
    BACKUP_FAILED = "BackupFailed", "A backup of the cloud could not be made."
    DRILL_SUCCEEDED = "DrillSucceeded", "The newest backup was restored into a folder of its own, and is whole."
    DRILL_FAILED = "DrillFailed", "The newest backup could not be restored."

    # The conductor and its store.
    DISK_FULL = "DiskFull", "The disk of the store is full: only changes and deletions are taken."
    DISK_SPACE_AVAILABLE = "DiskSpaceAvailable", "The disk of the store has room again."
    UNREADABLE_RECORD = "UnreadableRecord", "A stored record cannot be read by this version, and is left alone."
    OWNER_REF_INVALID_NAMESPACE = (
        "OwnerRefInvalidNamespace",
        "An owner reference names somebody in another namespace.",
    )
