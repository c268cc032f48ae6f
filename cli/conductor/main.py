"""The conductor in one process: store, API, gateway, loop, runtime and agent, wired together in this folder only.

SIGTERM and Ctrl-C stop what it started, in order. A conductor that was killed leaves its services running, and the
next one adopts them.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import anyio
import structlog
import uvloop

from agent.errors import CannotJoin
from agent.heartbeat import Agent
from agent.identity import Identity, IdentityInMemory
from agent.settings import Settings as AgentSettings
from api.logging import configure_logging
from cli.conductor.answering import serve_http
from cli.conductor.collecting import collect_seldom
from cli.conductor.converging import make_loop
from cli.conductor.full_disk import keep_room
from cli.conductor.house import House, open_house
from cli.conductor.rotating import keep_small
from cli.conductor.runtimes import choose
from cli.conductor_process import the_only_one
from cli.errors import CliError
from cli.founding import FOUNDER, ensure_worker, let_agents_join
from cli.ports import require_free_port
from cli.remembering import remember
from cli.settings import Settings
from controller.docker.swarm_admin import SwarmAdmin
from controller.kit.lasting import Lasting
from controller.kit.listening import CannotListen
from controller.kit.modes import PRIVATE_UMASK, tighten
from controller.kit.process_exit import exit_now
from controller.kit.systemd import Notifier
from controller.kit.threads import Threads
from controller.reconcile.event_recorder import EventExpirer
from controller.reconcilers.garbage_collector import collect_garbage
from controller.resources.local import LocalResources
from controller.runtime.driver import DriverError
from controller.store.records import Store, StoreBroken
from crds.errors import ApiError
from crds.kinds.worker import WORKER
from services.sdk.edge.descriptors import raise_file_limit

log = structlog.get_logger("conductor")
COMPACT_EVERY_SECONDS = 300.0
SWEEP_EVERY_SECONDS = 300.0
STOPPING_SECONDS = 60.0
RENEW_SECONDS = 86_400.0


def serve(settings: Settings) -> NoReturn:
    """Run until told to stop; then this process ends.

    Raises CliError when this home has a conductor already, the port is taken or the wanted runtime is not there,
    StoreBroken or OSError for what cannot be opened.
    """
    configure_logging(settings.log_level)
    _keep_to_oneself(settings.home)
    raise_file_limit()
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with the_only_one(settings):
        require_free_port(settings)
        code = runner.run(_serve(settings, Notifier()))
    exit_now(code)


def _remember(settings: Settings) -> None:
    """The next start is told nothing and does the same. Only what could be done is remembered. A stack is told by
    stack.yml each time.
    """
    if settings.stack is not None:
        return
    try:
        if changed := remember(settings):
            log.info("remembered in settings.toml", keys=changed)
    except CliError as odd:
        log.warning("not remembered: the next start must be told again", because=odd.message)


def _keep_to_oneself(home: Path) -> None:
    """Nobody else reads this home, now or later, nor what a crash of this process would leave. Raises OSError."""
    os.umask(PRIVATE_UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What is in the folders of services is theirs.
    if wrong := tighten(home, apart=frozenset({"data", "run/tmp"})):
        log.warning("closed what others could read", count=len(wrong), first=wrong[:10])


async def _serve(settings: Settings, notifier: Notifier) -> int:
    async with open_house(settings) as house:
        runtime = await choose(house)
        _remember(settings)
        loop = make_loop(house, runtime)
        resources = LocalResources(house.registry, FOUNDER)
        async with anyio.create_task_group() as group:
            # Only a store that cannot be used, or a port that cannot be had, is worth ending everything for.
            tasks = Lasting(group, house.rng, fatal=(StoreBroken, CannotListen))
            for number, task in enumerate(runtime.tasks):
                await tasks.start(task, name=f"runtime {number}")
            tasks.start_soon(serve_http, house, runtime, loop, name="http")
            await tasks.start(loop.run, name="loop")
            tasks.start_soon(house.leases.watch, lambda worker: loop.enqueue(WORKER.key(worker)), name="leases")
            catalog = house.registry.catalog
            shared = (resources, catalog, house.clock, loop.seen, loop.events)
            tasks.start_soon(collect_garbage, *shared, name="garbage")
            tasks.start_soon(EventExpirer(resources, house.clock, house.rng).run, name="events")
            tasks.start_soon(_compact_slowly, house, name="compaction")
            tasks.start_soon(keep_room, house, loop, name="room")
            tasks.start_soon(keep_small, settings.log_file, Threads(1), name="log")
            tasks.start_soon(_sweep_sessions, house, name="sessions")
            if settings.stack is None:  # in a stack, agents are services of their own
                tasks.start_soon(_run_agent, house, name="agent")
            else:
                tasks.start_soon(_renew_tokens, house, runtime.swarm, settings.stack.agent_token_file, name="tokens")
            tasks.start_soon(collect_seldom, name="collector")
            tasks.start_soon(notifier.keep_alive, name="watchdog")
            notifier.ready()
            log.info("conductor is up", url=settings.url, runtime=runtime.driver.name, because=runtime.why)
            await _until_told_to_stop()
            notifier.stopping()
            log.info("stopping what this conductor started")
            with anyio.CancelScope(shield=True), anyio.move_on_after(STOPPING_SECONDS):
                await runtime.stop()
            group.cancel_scope.cancel()
    return 0


async def _run_agent(house: House) -> None:
    """The embedded agent: an ordinary one, with an identity that needs no token.

    Whoever deletes its Worker gets it anew: this machine belongs to the cloud as long as its conductor runs here.
    """
    settings = AgentSettings(
        name=house.worker,
        home=house.home,
        api=(house.settings.url,),
        services_dir=house.home / "run" / "instances",
    )
    while True:
        await ensure_worker(house.registry, house.worker)
        with suppress(CannotJoin):
            await Agent(settings, house.clock, identity=IdentityInMemory(_identity(house))).run()


def _identity(house: House) -> Identity:
    client = f"worker:{house.worker}"
    secret = house.accounts.client_secret(client, WORKER.key(house.worker))
    return Identity(house.worker, client, secret, house.authority.ca_file.read_text())


async def _renew_tokens(house: House, swarm: SwarmAdmin | None, file: Path) -> None:
    """The token of agents gets its time anew, and the Swarm's own, which workers were told, becomes another."""
    while True:
        await anyio.sleep(RENEW_SECONDS)
        try:
            await let_agents_join(house.registry, file, house.clock.now())
            if swarm is not None:
                await swarm.rotate_join_token()
        except (CliError, ApiError, DriverError, OSError) as refused:
            log.error("tokens are not renewed", because=str(refused))


async def _compact_slowly(house: House) -> None:
    """Keeps the history of the last hours, and no more."""
    store: Store = house.registry.store
    while True:
        await anyio.sleep(COMPACT_EVERY_SECONDS)
        since = house.clock.now() - timedelta(hours=house.settings.retention_hours)
        gone = await store.compact(keep_after=await store.revision_at(since))
        if gone:
            log.info("compacted", records=gone, oldest=store.oldest)


async def _sweep_sessions(house: House) -> None:
    """Takes away logins that have ended, writes down which AWS keys are in use, rotates the keys that sign tokens."""
    while True:
        await anyio.sleep(SWEEP_EVERY_SECONDS)
        await house.accounts.sessions.sweep()
        await house.accounts.access_keys.note_uses()
        house.tokens.keys.look_after(house.clock.now())


async def _until_told_to_stop() -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("told to stop", signal=signal.Signals(number).name)
            return
