"""The conductor's audit log, as the settings want it: opened, followed by its sinks, looked after."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from api.audit import Audit
from api.audit.options import AuditOptions
from api.audit.policy import PolicyFault
from api.audit.sinks import FileSink, Follower, Sink, SyslogSink, WebhookSink
from controller.kit.clock import Clock
from controller.kit.files import keep_secret
from controller.main.errors import Misuse
from controller.main.settings import Settings


def audit_file(home: Path) -> Path:
    return home / "logs" / "audit.log"


def audit_key(home: Path) -> bytes:
    """What the chain of lines is sealed with; made at the first call."""
    return keep_secret(home / "secrets" / "audit-key")


def options_of(settings: Settings) -> AuditOptions:
    """The settings in the audit log's own words."""
    return AuditOptions(
        policy=settings.audit_policy,
        failure="continue" if settings.audit_failure == "continue" else "refuse",
        days=settings.audit_days,
        most_bytes=settings.audit_max_mib * 2**20,
        data_lines=settings.audit_data_lines_per_second,
        denied_lines=settings.audit_denied_lines_per_second,
        syslog=settings.audit_syslog,
        webhook=settings.audit_webhook,
        webhook_token=settings.audit_webhook_token_file,
        sink_ca=settings.audit_sink_ca,
        file=settings.audit_file,
    )


def open_audit(settings: Settings, clock: Clock) -> Audit:
    """Raises Misuse for a policy or a sink that is not understood."""
    options = options_of(settings)
    try:
        audit = Audit(audit_file(settings.home), clock, key=audit_key(settings.home), options=options)
        audit.follow(_followers(audit, options, settings))
    except (PolicyFault, ValueError) as error:
        raise Misuse(f"the audit log's settings: {error}", hint="docs/hardening.md shows them") from error
    except OSError as error:
        raise Misuse(f"the audit log's settings: {error}", hint="make that file readable") from error
    return audit


@asynccontextmanager
async def looked_after(audit: Audit) -> AsyncIterator[None]:
    """While it lasts, bursts are told, files turned over and sinks fed; then the log is closed."""
    audit.gather(asyncio.get_running_loop().call_soon)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(audit.run)
            yield
            group.cancel_scope.cancel()
    finally:
        audit.close()


def _followers(audit: Audit, options: AuditOptions, settings: Settings) -> list[Follower]:
    sinks: list[Sink] = []
    if options.syslog:
        sinks.append(SyslogSink(options.syslog, socket.gethostname(), options.sink_ca))
    if options.webhook:
        sinks.append(WebhookSink(options.webhook, options.sink_ca, options.webhook_token))
    if options.file:
        sinks.append(FileSink(options.file))
    return [Follower(audit.journal, each, settings.run / f"audit-{each.name}.json") for each in sinks]
