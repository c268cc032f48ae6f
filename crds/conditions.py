"""Conditions of the core's resources: their types, and the reasons given for them.

Managed services have words of their own, in a module `conditions` in their folder.
"""

from __future__ import annotations

from crds.term import Term


class ConditionType(Term):
    """What a condition tells about a resource (`status.conditions[].type`)."""

    RECONCILED = "Reconciled", "Any kind: the last pass of its reconciler left nothing to do."
    READY = "Ready", "Service: it serves, or ran to its end. Worker: its heartbeats arrive."
    PROGRESSING = "Progressing", "Service: instances are being started, replaced or stopped."
    PLACED = "Placed", "Service: there is a worker that may run it."
    DEGRADED = "Degraded", "Service: it runs, although something it needs is missing."
    ISOLATED = "Isolated", "Service: its processes run in a complete sandbox."
    VOLUME_OVERFULL = "VolumeOverfull", "Service: a volume holds more than its `size`."
    FIELDS_IGNORED = "FieldsIgnored", "Service: fields of a managed service that its manifest overrules."
    OVERLAY_REACHABLE = "OverlayReachable", "Worker: it reaches the other machines through the overlay network."
    OVERLAY_ENCRYPTED = "OverlayEncrypted", "Worker: its traffic to other machines is encrypted."
    DRAINED = "Drained", "Worker: instances are moved off it, since it is being deleted."
    NAMES_ACCEPTED = "NamesAccepted", "CustomResourceDefinition: no other kind has its names."
    ESTABLISHED = "Established", "CustomResourceDefinition: the kind is served."
    TERMINATING = "Terminating", "CustomResourceDefinition: it is being deleted, and its resources first."
    COMPLETE = "Complete", "Backup: it is whole, and can be restored."
    BACKED_UP = "BackedUp", "BackupSchedule: the last backup that was due is whole."
    RESTORABLE = "Restorable", "BackupSchedule: the newest backup was restored in a drill, and is whole."
    CONTENT_REMAINING = "NamespaceContentRemaining", "Namespace: resources are left in it."
    FINALIZERS_REMAINING = "NamespaceFinalizersRemaining", "Namespace: what is left waits for finalizers."
    DELETION_CONTENT_FAILURE = "NamespaceDeletionContentFailure", "Namespace: something in it may not be deleted."


class DependencyFault(Term):
    """What is wrong with a Service that another one needs (`status.missingDependencies[].reason`)."""

    NOT_FOUND = "NotFound", "There is no Service of that name."
    DISABLED = "Disabled", "It is disabled, or scaled to zero."
    NOT_READY = "NotReady", "It runs, and its condition Ready is not True."


class Reason(Term):
    """Why a condition is as it is (`status.conditions[].reason`)."""

    # Of a pass: the condition Reconciled.
    UP_TO_DATE = "UpToDate", "Spec and world agree."
    IN_PROGRESS = "InProgress", "Not done yet: another pass follows soon."
    WAITING = "Waiting", "Something else has to happen first."
    RETRYING = "Retrying", "It did not work, and is tried again with growing delay."
    REFUSED = "Refused", "It cannot work until the spec changes."
    TIMED_OUT = "TimedOut", "A pass took longer than it may."
    UNEXPECTED_ERROR = "UnexpectedError", "A defect of the reconciler; the log of the conductor has the traceback."
    DELETING = "Deleting", "It is being deleted, and its reconciler holds nothing of it any more."

    # Of Services.
    WAITING_FOR_DEPENDENCIES = "WaitingForDependencies", "Services it needs are missing, disabled or not Ready."
    WAITING_FOR_FILES = "WaitingForFiles", "A Secret or ConfigMap that it wants as a file is missing."
    CREATE_CONTAINER_CONFIG_ERROR = (
        "CreateContainerConfigError",
        "A variable refers to a Secret or ConfigMap, or a key in one, that is missing.",
    )
    DEPENDENCY_MISSING = "DependencyMissing", "It runs on, but something it needs is missing."
    DEPENDENCIES_MET = "DependenciesMet", "All it needs is there."
    WORKERS_CHOSEN = "WorkersChosen", "At least one worker fits."
    UNSCHEDULABLE = "Unschedulable", "No worker fits; `status.refusals` says why for each."
    SANDBOXED = "Sandboxed", "Every part of the sandbox is in place."
    SANDBOX_INCOMPLETE = "SandboxIncomplete", "This machine lacks parts of the sandbox; the message names them."
    FROM_MANIFEST_ONLY = "FromManifestOnly", "Stored fields that only the manifest of a managed service may set."
    NOTHING_IGNORED = "NothingIgnored", "Every stored field counts."
    UNKNOWN_MANAGED_SERVICE = "UnknownManagedService", "`spec.managed` names no managed service of this version."
    NAME_RESERVED = "NameReserved", "A managed service has that name, and this is another Service."
    REQUEST_EXCEEDED = "RequestExceeded", "A volume holds more than its `size`; nothing is cut off."
    WITHIN_REQUEST = "WithinRequest", "Every volume holds no more than its `size`."
    STARTING = "Starting", "Instances were started, and none is ready yet."
    READY = "Ready", "As many instances as desired are ready."
    UPDATING = "Updating", "A new revision replaces the one before."
    DEGRADED = "Degraded", "Fewer instances are ready than desired."
    FAILED = "Failed", "Every instance that was started has failed."
    COMPLETED = "Completed", "The job ran to its end."
    STOPPING = "Stopping", "Instances are on their way out."
    DISABLED = "Disabled", "`spec.enabled` is false."
    SCALED_TO_ZERO = (
        "ScaledToZero",
        "`spec.replicas` is 0, or it sleeps (`spec.activation`).",
    )

    # Of what the runtime refuses.
    RUNTIME_REFUSED = "RuntimeRefused", "The runtime refused; the message has its words."
    RUNTIME_UNREACHABLE = "RuntimeUnreachable", "Docker does not answer."
    NEEDS_CONTAINER_RUNTIME = "NeedsContainerRuntime", "It has an image, and this cloud runs no containers."
    ENGINE_MISSING = (
        "EngineMissing",
        "The program or image of its engine is missing; the message has the fix.",
    )
    ENGINE_VERSION_MISMATCH = "EngineVersionMismatch", "Its data is of another version than is asked for."
    TRASH_FAILED = "TrashFailed", "The data of a deleted engine cannot be moved to the trash; it is tried again."
    NEEDS_IMAGE = "NeedsImage", "It has no image, and a Swarm runs nothing else."
    NOT_RUNNING = "NotRunning", "There is no such running instance, or its runtime is not running."
    ROLLED_BACK = "RolledBack", "The newest revision did not get ready, so the one before serves on."
    SANDBOX_UNAVAILABLE = "SandboxUnavailable", "The sandbox cannot be set up, so nothing is started."
    NAME_CONFLICT = "NameConflict", "Something else in the Swarm has that name."
    NOT_FOUND = "NotFound", "Docker has no such object."
    OUT_OF_DATE = "OutOfDate", "A Swarm service was changed by somebody else meanwhile; it is read again."
    NOT_A_SWARM_MANAGER = "NotASwarmManager", "This Docker does not manage a Swarm."
    WORKER_NOT_FOUND = "WorkerNotFound", "No node of the Swarm has the name of a chosen worker."
    NETWORK_NOT_FOUND = "NetworkNotFound", "A network of the stack is missing."
    ENCRYPTION_UNKNOWN = "EncryptionUnknown", "Whether every kernel can encrypt is not reported yet."
    IMAGE_NOT_FOUND = "ImageNotFound", "The registry has no such image, or does not give it out."
    IMAGE_PUSH_FAILED = "ImagePushFailed", "The image could not be put into the cloud's registry."
    REGISTRY_UNAVAILABLE = "RegistryUnavailable", "The registry of the image does not answer."

    # Of Workers.
    HEARTBEAT_RECEIVED = "HeartbeatReceived", "The agent sends heartbeats."
    HEARTBEAT_MISSED = "HeartbeatMissed", "Several heartbeats in a row are missing."
    NO_HEARTBEAT_YET = "NoHeartbeatYet", "It never sent a heartbeat."
    NO_HEARTBEAT = "NoHeartbeat", "Not known, since the worker sends no heartbeats."
    NOTIFYING_AGENT = "NotifyingAgent", "It is being deleted; its agent is asked to leave the Swarm."
    DEMOTION_REQUIRED = "DemotionRequired", "It manages the Swarm, and has to be demoted before it can be removed."
    DRAINING = "Draining", "Instances are moved to other workers, then it leaves the Swarm."
    PEERS_REACHABLE = "PeersReachable", "All other machines answer."
    PEERS_UNREACHABLE = "PeersUnreachable", "Some other machines do not answer; the message names them."
    NAME_RESOLUTION_FAILED = "NameResolutionFailed", "The name of its peers resolves to nothing."
    IPSEC_SUPPORTED = "IpsecSupported", "Its kernel encrypts overlay networks."
    IPSEC_UNSUPPORTED = "IpsecUnsupported", "Its kernel has no IPsec (ESP with AES-GCM)."
    ENCRYPTION_DISABLED = "EncryptionDisabled", "`AEREKOS_OVERLAY_ENCRYPTION` is off."
    NOT_REPORTED = "NotReported", "The agent has not reported it yet."

    # Of Backups and BackupSchedules.
    BACKUP_SUCCEEDED = "BackupSucceeded", "It is whole."
    BACKUP_FAILED = "BackupFailed", "It could not be made; the message says why."
    DRILL_SUCCEEDED = "DrillSucceeded", "The newest backup was restored, and is whole."
    DRILL_FAILED = "DrillFailed", "The newest backup could not be restored; the message says why."

    # Of CustomResourceDefinitions and Namespaces, as in Kubernetes.
    NO_CONFLICTS = "NoConflicts", "No other kind has its names."
    INITIAL_NAMES_ACCEPTED = "InitialNamesAccepted", "The kind is served under its names."
    INSTANCE_DELETION_IN_PROGRESS = "InstanceDeletionInProgress", "Resources of the kind are being deleted."
    INSTANCES_REMAIN = "InstancesRemain", "Resources of the kind are left."
    CONTENTS_REMAIN = "ContentsRemain", "The namespace is not empty yet."
    SOME_RESOURCES_REMAIN = "SomeResourcesRemain", "The message counts what is left by kind."
    CONTENT_REMOVED = "ContentRemoved", "Nothing is left."
    SOME_FINALIZERS_REMAIN = "SomeFinalizersRemain", "The message counts what waits by finalizer."
    CONTENT_HAS_NO_FINALIZERS = "ContentHasNoFinalizers", "Nothing waits for finalizers."
    CONTENT_DELETION_FAILED = "ContentDeletionFailed", "The message says what may not be deleted, and why."
    CONTENT_DELETED = "ContentDeleted", "Everything in it could be deleted."
