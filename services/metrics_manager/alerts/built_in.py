"""Rules for the platform itself, which are evaluated in every cloud. An AlertRule of the scope `Cloud`, in the
namespace `default`, with the name of one of these stands in its place; disabled, it switches that one off.
"""

from __future__ import annotations

from services.metrics_manager.alerts.alert import Rule

_DISK = '(aerekos_worker_capacity{resource="disk"} - ignoring() aerekos_worker_used{resource="disk"})'
_FREE = f"{_DISK}[30m:1m]"
_ERRORS, _ALL = "aerekos_traffic_errors_total", "aerekos_traffic_requests_total"


def _burn(window: str) -> str:
    """Which part of the requests of a service failed, in that time."""
    return f"(sum by (service) (increase({_ERRORS}[{window}])) / sum by (service) (increase({_ALL}[{window}])))"


PLATFORM: tuple[Rule, ...] = (
    Rule(
        "worker-silent",
        "worker-silent",
        None,
        "aerekos_worker_ready == 0",
        severity="critical",
        summary="The worker {{ $labels.worker }} sends no heartbeats.",
        description="What runs there is not healed. Is the machine on, and does aerekos-agent run?",
    ),
    Rule(
        "instance-down",
        "instance-down",
        None,
        'up{job!="", namespace=""} == 0',
        for_seconds=30,
        severity="warning",
        summary="{{ $labels.instance }} of {{ $labels.job }} does not tell its metrics.",
    ),
    Rule(
        "service-degraded",
        "service-degraded",
        None,
        "aerekos_service_ready_replicas < aerekos_service_replicas",
        for_seconds=120,
        severity="warning",
        summary="{{ $labels.service }} has {{ $value }} ready copies, fewer than it should.",
    ),
    Rule(
        "disk-fills-up",
        "disk-fills-up",
        None,
        f'predict_linear({_FREE}, 4 * 3600) < 0 and {_DISK} / aerekos_worker_capacity{{resource="disk"}} < 0.3',
        for_seconds=300,
        severity="warning",
        summary="The disk of {{ $labels.worker }} is full in four hours, as it goes.",
    ),
    Rule(
        "disk-nearly-full",
        "disk-nearly-full",
        None,
        'aerekos_worker_used{resource="disk"} / aerekos_worker_capacity{resource="disk"} > 0.95',
        for_seconds=60,
        severity="critical",
        summary="The disk of {{ $labels.worker }} is full to more than 95 %.",
    ),
    Rule(
        "certificate-ends",
        "certificate-ends",
        None,
        "aerekos_certificate_expiry_seconds - time() < 7 * 86400",
        for_seconds=300,
        severity="critical",
        summary="The certificate {{ $labels.certificate }} ends in {{ $value }} seconds.",
    ),
    Rule(
        "backup-old",
        "backup-old",
        None,
        "aerekos_backup_age_seconds > 2 * 86400",
        for_seconds=300,
        severity="critical",
        summary="The newest backup of {{ $labels.schedule }} is {{ $value }} seconds old.",
    ),
    Rule(
        "error-budget-burns",
        "error-budget-burns",
        None,
        f"{_burn('1h')} > 14.4 * 0.001 and {_burn('5m')} > 14.4 * 0.001",
        for_seconds=60,
        severity="critical",
        summary="{{ $labels.service }} fails so often that a month's budget of 0.1 % is gone in two days.",
    ),
    Rule(
        "records-unreadable",
        "records-unreadable",
        None,
        "aerekos_unreadable_records > 0",
        for_seconds=60,
        severity="warning",
        summary="{{ $value }} stored records cannot be read by this version.",
    ),
)
