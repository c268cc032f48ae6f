"""One thing that is not as it should be: how bad, what, about which object, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from crds.kind import Kind
from crds.meta import ObjectKey
from crds.term import Term

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""Worst first. `info` never makes a cloud unwell."""
Verdict = Literal["Well", "NeedsAttention", "NotWell"]


class Code(Term):
    """The code of a finding, which programs go by. A name once given keeps its meaning."""

    CONDUCTOR_STARTING = "ConductorStarting", "The conductor is not ready to answer yet."
    BUILT_IN_SERVICE_MISSING = "BuiltInServiceMissing", "A managed service that should be there has no Service."
    BUILT_IN_SERVICE_DISABLED = "BuiltInServiceDisabled", "A managed service is disabled or scaled to zero."
    BUILT_IN_SERVICE_NOT_READY = "BuiltInServiceNotReady", "A managed service does not serve."
    SERVICE_NOT_READY = "ServiceNotReady", "A Service of somebody does not serve."
    SERVICE_DEGRADED = "ServiceDegraded", "A Service serves, although something it needs is missing."
    NO_WORKER_READY = "NoWorkerReady", "No worker sends heartbeats: nothing can run."
    WORKER_NOT_READY = "WorkerNotReady", "A worker sends no heartbeats."
    WORKER_CORDONED = "WorkerCordoned", "Nothing new is placed on a worker."
    KEY_PENDING_DELETION = "KeyPendingDeletion", "A Key will be deleted, and with it all that it sealed."
    BUCKET_KEY_LOST = "BucketKeyLost", "A key that a bucket needs is gone."
    BUCKET_DATA_DAMAGED = "BucketDataDamaged", "What a disk holds of a bucket's objects is not what was written."
    NAMESPACE_TERMINATING = "NamespaceTerminating", "A namespace has been terminating for minutes."
    DISK_NEARLY_FULL = "DiskNearlyFull", "A disk is nearly full."
    DISK_FULL = "DiskFull", "A disk is full or about to be."
    STORE_READ_ONLY = "StoreReadOnly", "The store takes no changes."
    MEMORY_NEARLY_FULL = "MemoryNearlyFull", "The memory of a machine is nearly full."
    CLOCK_SKEWED = "ClockSkewed", "The clock of a worker differs from the conductor's."
    CERTIFICATE_UNUSABLE = "CertificateUnusable", "A certificate cannot be read or used."
    CERTIFICATE_NOT_YET_VALID = (
        "CertificateNotYetValid",
        "A certificate begins in the future: a clock is or was wrong.",
    )
    CERTIFICATE_EXPIRING = "CertificateExpiring", "A certificate ends soon."
    CERTIFICATE_EXPIRED = "CertificateExpired", "A certificate has ended."
    AUTOSTART_MISSING = "AutostartMissing", "The cloud does not start with its machine."
    UNREADABLE_RECORDS = "UnreadableRecords", "Stored records cannot be read by this version, and are left alone."
    BACKUP_FAILED = "BackupFailed", "The last backup of a schedule could not be made."
    BACKUP_OVERDUE = "BackupOverdue", "The newest backup of a schedule is much older than it should be."
    BACKUP_NOT_RESTORABLE = "BackupNotRestorable", "The newest backup of a schedule could not be restored in a drill."
    AUDIT_LOG_FAILING = "AuditLogFailing", "The audit log cannot be written."


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` and `kind` name the object; None: the conductor and its machine. `fix`: what a person does about it."""

    severity: Severity
    code: Code
    message: str
    fix: str = ""
    about: ObjectKey | None = None
    kind: str = "Conductor"

    def wire(self) -> dict[str, Any]:
        """The finding as the API tells it."""
        name, namespace = (self.about.name, self.about.namespace) if self.about else ("", "")
        told = {"kind": self.kind, "namespace": namespace, "name": name}
        return {
            "severity": self.severity,
            "code": str(self.code),
            "object": told,
            "message": self.message,
            "fix": self.fix,
        }


def about(severity: Severity, code: Code, kind: Kind[Any], key: ObjectKey, message: str, fix: str = "") -> Finding:
    """A finding about a resource of that kind."""
    return Finding(severity, code, message, fix, key, kind.name)
