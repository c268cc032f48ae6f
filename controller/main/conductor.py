"""The conductor in one process: store, API, gateway, loop, runtime and agent, wired together in this folder only.

SIGTERM and Ctrl-C stop what it started, in order. A conductor that was killed leaves its services running, and the
next one adopts them.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import ssl
import sys
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

import anyio
import httpx
import structlog
import uvloop

from agent.conductor_client import make_socket_client
from agent.errors import CannotJoin
from agent.heartbeat import Agent
from agent.identity import Identity, IdentityInMemory
from agent.settings import Settings as AgentSettings
from api.front_proxy import SOCKET
from api.logging import configure_logging
from controller.client.local import LocalResources
from controller.docker.swarm_admin import SwarmAdmin
from controller.kit import tracing
from controller.kit.clock import SystemClock
from controller.kit.gc_tuning import collect_seldom
from controller.kit.lasting import Lasting
from controller.kit.listening import CannotListen
from controller.kit.modes import PRIVATE_UMASK, tighten
from controller.kit.process_exit import exit_now
from controller.kit.systemd import Notifier
from controller.kit.threads import Threads
from controller.kit.unix_sockets import short_path
from controller.main.backups.jobs import Jobs
from controller.main.bootstrap import SYSTEM_CONDUCTOR, ensure_worker, let_agents_join
from controller.main.components import Components, open_components
from controller.main.controllers import make_loop
from controller.main.errors import UserError
from controller.main.full_disk import keep_room
from controller.main.gateways import Gateways
from controller.main.http import serve_http
from controller.main.log_rotation import keep_small
from controller.main.ports import require_free_port
from controller.main.remembered_settings import remember
from controller.main.running_conductor import the_only_one
from controller.main.runtime_selection import choose
from controller.main.settings import Settings
from controller.main.standby import ToldToStop, leading, tell_of_others, until_lost
from controller.main.standby_reads import serve_reads
from controller.main.waking import wake_owners
from controller.reconcile.event_recorder import EventExpirer
from controller.reconcilers.garbage_collector import collect_garbage
from controller.runtime.driver import DriverError
from controller.store.leading import Lead
from controller.store.records import NotLeading, Store, StoreBroken
from crds.errors import ApiError
from crds.kinds.worker import WORKER
from services.sdk.discovery import ServiceFolderError, catalog_of, managed_services, use_folders
from services.sdk.edge.descriptors import raise_file_limit

log = structlog.get_logger("conductor")
COMPACT_EVERY_SECONDS = 300.0
SWEEP_EVERY_SECONDS = 300.0
STOPPING_SECONDS = 60.0
RENEW_SECONDS = 86_400.0
LAST_SPANS_SECONDS = 1.0
SWITCH_SECONDS = 0.0005
"""After so long a busy loop lets the thread go on that commits: it asks for the interpreter several times in each,
and would wait ten times as long by default."""


def serve(settings: Settings) -> NoReturn:
    """Run until told to stop; then this process ends.

    Raises UserError when this home has a conductor already, the port is taken or the wanted runtime is not there,
    StoreBroken, StoreAway or OSError for what cannot be opened, NotLeading when another conductor has taken the lead.
    """
    configure_logging(settings.log_level)
    try:
        use_folders(settings.services_path)
        catalog_of(managed_services())
    except ServiceFolderError as wrong:
        hint = f"mend it, or correct AEREKOS_SERVICES_PATH, or services_path in {settings.file}"
        raise UserError(str(wrong), hint=hint) from wrong
    _keep_to_oneself(settings.home)
    raise_file_limit()
    sys.setswitchinterval(SWITCH_SECONDS)
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with the_only_one(settings):
        require_free_port(settings)
        if settings.otlp_endpoint:
            tracing.start(settings.otlp_endpoint, "aerekos-conductor", report=_report_collector)
        code = runner.run(_led(settings, Notifier()))
        tracing.stop(LAST_SPANS_SECONDS)
    exit_now(code)


def _report_collector(taken: bool, what: str) -> None:
    (log.info if taken else log.warning)(what)


def _remember(settings: Settings) -> None:
    """The next start is told nothing and does the same. Only what could be done is remembered. A stack is told by
    stack.yml each time.
    """
    if settings.stack is not None:
        return
    try:
        if changed := remember(settings):
            log.info("remembered in settings.toml", keys=changed)
    except UserError as odd:
        log.warning("not remembered: the next start must be told again", because=odd.message)


def _keep_to_oneself(home: Path) -> None:
    """Nobody else reads this home, now or later, nor what a crash of this process would leave. Raises OSError."""
    os.umask(PRIVATE_UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What is in the folders of services is theirs.
    if wrong := tighten(home, apart=frozenset({"data", "run/tmp", "trash"})):
        log.warning("closed what others could read", count=len(wrong), first=wrong[:10])


async def _led(settings: Settings, notifier: Notifier) -> int:
    """The gateways are the same, whether this conductor stands by or leads."""
    gateways = Gateways(settings, SystemClock(), random.Random(), Threads(1))  # noqa: S311 - jitter
    try:
        async with leading(settings, notifier, partial(serve_reads, settings, gateways)) as lead:
            return await _serve(settings, notifier, gateways, lead)
    except ToldToStop:
        log.info("stopping: this conductor stood by")
        gateways.stop()
        await gateways.wait_stopped()
        return 0


async def _serve(settings: Settings, notifier: Notifier, gateways: Gateways, lead: Lead | None) -> int:
    async with open_components(settings, lead.epoch if lead else 0) as components:
        runtime = await choose(components)
        _remember(settings)
        jobs = Jobs(settings, lambda key: loop.enqueue(key))
        loop = make_loop(components, runtime, jobs)
        resources = LocalResources(components.registry, SYSTEM_CONDUCTOR)
        async with anyio.create_task_group() as group:
            # Only a store that cannot be used, or a port that cannot be had, is worth ending everything for.
            tasks = Lasting(group, components.rng, fatal=(StoreBroken, CannotListen, NotLeading))
            if lead is not None:
                tasks.start_soon(until_lost, lead, name="lead")
                tasks.start_soon(tell_of_others, lead, components.conductors, name="others")
            for number, task in enumerate(runtime.tasks):
                await tasks.start(task, name=f"runtime {number}")
            await tasks.start(serve_http, components, runtime, loop, name="http")
            components.leases.begin()
            gateways.open()
            tasks.start_soon(gateways.run, name="gateways")
            await tasks.start(loop.run, name="loop")
            tasks.start_soon(components.leases.watch, lambda worker: loop.enqueue(WORKER.key(worker)), name="leases")
            catalog = components.registry.catalog
            shared = (resources, catalog, components.clock, loop.seen, loop.events)
            tasks.start_soon(collect_garbage, *shared, name="garbage")
            tasks.start_soon(EventExpirer(resources, components.clock, components.rng).run, name="events")
            tasks.start_soon(_compact_slowly, components, name="compaction")
            tasks.start_soon(keep_room, components, loop, name="room")
            tasks.start_soon(wake_owners, components, name="waking")
            tasks.start_soon(keep_small, settings.log_file, Threads(1), name="log")
            tasks.start_soon(jobs.run, name="backups")
            tasks.start_soon(_sweep_sessions, components, name="sessions")
            if settings.stack is None:  # in a stack, agents are services of their own
                tasks.start_soon(_run_agent, components, name="agent")
            else:
                tasks.start_soon(
                    _renew_tokens, components, runtime.swarm, settings.stack.agent_token_file, name="tokens"
                )
            tasks.start_soon(collect_seldom, name="collector")
            tasks.start_soon(notifier.keep_alive, name="watchdog")
            notifier.ready()
            log.info("conductor is up", url=settings.url, runtime=runtime.driver.name, because=runtime.why)
            await _until_told_to_stop()
            notifier.stopping()
            log.info("stopping what this conductor started")
            gateways.stop()
            with anyio.CancelScope(shield=True), anyio.move_on_after(STOPPING_SECONDS):
                await runtime.stop()
            group.cancel_scope.cancel()
        await gateways.wait_stopped()
    return 0


async def _run_agent(components: Components) -> None:
    """The embedded agent: an ordinary one, with an identity that needs no token.

    Whoever deletes its Worker gets it anew: this machine belongs to the cloud as long as its conductor runs here.
    """
    settings = AgentSettings(
        name=components.worker,
        home=components.home,
        api=("http://conductor",),
        services_dir=components.home / "run" / "instances",
    )
    path = short_path(components.home / "run" / SOCKET)

    def by_socket(_: ssl.SSLContext | bool) -> httpx.AsyncClient:
        return make_socket_client(path)

    while True:
        await ensure_worker(components.registry, components.worker)
        with suppress(CannotJoin):
            await Agent(settings, components.clock, by_socket, identity=IdentityInMemory(_identity(components))).run()


def _identity(components: Components) -> Identity:
    client = f"worker:{components.worker}"
    secret = components.accounts.client_secret(client, WORKER.key(components.worker))
    return Identity(components.worker, client, secret, components.authority.ca_file.read_text())


async def _renew_tokens(components: Components, swarm: SwarmAdmin | None, file: Path) -> None:
    """The token of agents gets its time anew, and the Swarm's own, which workers were told, becomes another."""
    while True:
        await anyio.sleep(RENEW_SECONDS)
        try:
            await let_agents_join(components.registry, file, components.clock.now())
            if swarm is not None:
                await swarm.rotate_join_token()
        except (UserError, ApiError, DriverError, OSError) as refused:
            log.error("tokens are not renewed", because=str(refused))


async def _compact_slowly(components: Components) -> None:
    """Keeps the history of the last hours, and no more."""
    store: Store = components.registry.store
    while True:
        await anyio.sleep(COMPACT_EVERY_SECONDS)
        since = components.clock.now() - timedelta(hours=components.settings.retention_hours)
        gone = await store.compact(keep_after=await store.revision_at(since))
        if gone:
            log.info("compacted", records=gone, oldest=store.oldest)


async def _sweep_sessions(components: Components) -> None:
    """Takes away logins that have ended, writes down which AWS keys are in use, rotates the keys that sign tokens."""
    while True:
        await anyio.sleep(SWEEP_EVERY_SECONDS)
        await components.accounts.sessions.sweep()
        await components.accounts.temporary.sweep()
        await components.accounts.access_keys.note_uses()
        components.tokens.keys.look_after(components.clock.now())


async def _until_told_to_stop() -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("told to stop", signal=signal.Signals(number).name)
            return
