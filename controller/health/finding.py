"""One thing that is not as it should be: how bad, what, about which object, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from crds.kind import Kind
from crds.meta import ObjectKey

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""Worst first. `info` never makes a cloud unwell."""
Verdict = Literal["Well", "NeedsAttention", "NotWell"]


class Code(StrEnum):
    """What programs go by. A name once given keeps its meaning."""

    CONDUCTOR_STARTING = "ConductorStarting"
    BUILT_IN_SERVICE_MISSING = "BuiltInServiceMissing"
    BUILT_IN_SERVICE_DISABLED = "BuiltInServiceDisabled"
    BUILT_IN_SERVICE_NOT_READY = "BuiltInServiceNotReady"
    SERVICE_NOT_READY = "ServiceNotReady"
    SERVICE_DEGRADED = "ServiceDegraded"
    NO_WORKER_READY = "NoWorkerReady"
    WORKER_NOT_READY = "WorkerNotReady"
    WORKER_CORDONED = "WorkerCordoned"
    KEY_PENDING_DELETION = "KeyPendingDeletion"
    BUCKET_KEY_LOST = "BucketKeyLost"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    DISK_NEARLY_FULL = "DiskNearlyFull"
    DISK_FULL = "DiskFull"
    STORE_READ_ONLY = "StoreReadOnly"
    MEMORY_NEARLY_FULL = "MemoryNearlyFull"
    CLOCK_SKEWED = "ClockSkewed"
    CERTIFICATE_UNUSABLE = "CertificateUnusable"
    CERTIFICATE_NOT_YET_VALID = "CertificateNotYetValid"
    CERTIFICATE_EXPIRING = "CertificateExpiring"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    AUTOSTART_MISSING = "AutostartMissing"
    UNREADABLE_RECORDS = "UnreadableRecords"
    AUDIT_LOG_FAILING = "AuditLogFailing"


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
