"""Phases: the one word for where a resource of the core stands (`status.phase`).

Stored statuses hold them as plain strings: a record of another version may have a phase that is not here, and its
reconciler writes a new one over it.
"""

from __future__ import annotations

from crds.term import Term


class ServicePhase(Term):
    """Where a Service stands."""

    PENDING = "Pending", "It was just created, and no reconciler has seen it yet."
    WAITING = "Waiting", "Nothing is started before something else is there: a dependency, a file, a worker."
    STARTING = "Starting", "Its instances were started, and none is ready yet."
    READY = "Ready", "As many instances as desired are ready."
    UPDATING = "Updating", "A new revision replaces the one before, one instance at a time."
    DEGRADED = "Degraded", "Some instances are ready, but fewer than desired, or not of the newest revision."
    FAILED = "Failed", "No instance is ready, and every one that was started has failed."
    COMPLETED = "Completed", "A job that ran to its end."
    STOPPING = "Stopping", "Instances that are no longer desired are on their way out."
    DISABLED = "Disabled", "`spec.enabled` is false: nothing runs."
    SCALED_TO_ZERO = "ScaledToZero", "`spec.replicas` is 0, or it sleeps until somebody asks for it: nothing runs."


class BackupPhase(Term):
    """Where a Backup stands."""

    PENDING = "Pending", "It waits until it is begun."
    RUNNING = "Running", "It is made; `status.readBytes` grows."
    SUCCEEDED = "Succeeded", "It is whole, and can be restored."
    FAILED = "Failed", "It could not be made; the condition Complete says why. Another one is another Backup."


class InstancePhase(Term):
    """Where one running instance of a Service stands (`status.instances[].phase`)."""

    PENDING = "Pending", "The runtime has not reported anything of it yet."
    STARTING = "Starting", "It was started, and is not ready yet."
    RUNNING = "Running", "It runs, but its readiness probe fails."
    READY = "Ready", "It runs and serves."
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff", "It failed again and again, so its next start is delayed."
    STOPPING = "Stopping", "It was asked to end."
    FAILED = "Failed", "It ended with an error, or its machine is gone."
    COMPLETED = "Completed", "It ran to its end without an error."


class WorkerPhase(Term):
    """Where a Worker stands."""

    UNKNOWN = "Unknown", "It has registered, and its first heartbeat is awaited."
    READY = "Ready", "Its heartbeats arrive."
    NOT_READY = "NotReady", "Its heartbeats stopped."
    READY_CORDONED = "Ready,Cordoned", "Its heartbeats arrive; nothing new is placed there (`spec.unschedulable`)."
    NOT_READY_CORDONED = "NotReady,Cordoned", "Its heartbeats stopped, and nothing new is placed there."


class NamespacePhase(Term):
    """Where a Namespace stands."""

    ACTIVE = "Active", "It can be used."
    TERMINATING = "Terminating", "It is being deleted: everything in it goes first, and nothing new is taken."
