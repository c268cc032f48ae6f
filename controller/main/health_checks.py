"""Checks of the conductor's report on its own machine, beside what is stored and heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import psutil

from api.audit import Audit
from controller.health.finding import Code, Finding
from controller.health.machine import Room, certificate_findings, disk_finding, memory_finding, room_on, store_finding
from controller.health.report import Health
from controller.main import autostart
from controller.main.components import Components
from controller.reconcile.loop import Loop


def health_of(components: Components, loop: Loop, audit: Audit) -> Health:
    """The one report of this conductor."""
    # In a stack, agents measure their machines; here the conductor's machine is a worker, on the same disk.
    own = components.worker if components.settings.stack is None else ""

    def disk() -> Iterator[Finding]:
        yield from disk_finding("the conductor", room_on(components.home))

    def store() -> Iterator[Finding]:
        yield from store_finding(components.registry.store.trouble, takes_new=components.registry.takes_new)

    def memory() -> Iterator[Finding]:
        if own:
            return
        seen = psutil.virtual_memory()
        yield from memory_finding("the conductor", Room(seen.total - seen.available, seen.total))

    def certificates() -> Iterable[Finding]:
        return certificate_findings(components.settings.tls, components.clock.now())

    def audit_log() -> Iterator[Finding]:
        for problem in audit.problems():
            yield Finding("critical", Code.AUDIT_LOG_FAILING, problem, "docs/hardening.md, 6. The audit log")

    def boot() -> Iterator[Finding]:
        if components.settings.stack is None:
            yield from autostart.findings(components.home)

    return Health(
        components.registry,
        components.leases,
        components.clock,
        components.services,
        is_caught_up=lambda: loop.caught_up,
        own_worker=own,
        sources=(disk, store, memory, certificates, audit_log, boot),
    )
