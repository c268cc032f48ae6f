"""Selection of the runtime this conductor steers, and what comes with it. `auto`: a Swarm where this machine manages
one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import structlog

from api.auth.principal import CONDUCTOR, MASTERS, Principal
from api.auth.tokens import REGISTRY_AUDIENCE
from controller.docker.client import DockerClient
from controller.docker.node_info import SwarmNodeInfo
from controller.docker.swarm_admin import SwarmAdmin
from controller.main.components import Components
from controller.main.errors import UserError
from controller.main.image_resolver import ImageResolver
from controller.main.sandbox_views import fork_server_of, sandbox_of
from controller.main.service_environment import ContainerEnvironment, ProcessEnvironment
from controller.main.stack_settings import REGISTRY_PROXY, Stack
from controller.reconcilers.service import Environment
from controller.runtime.composite import CompositeDriver
from controller.runtime.driver import Driver, DriverError
from controller.runtime.engines.finder import EngineFinder
from controller.runtime.process import ProcessDriver
from controller.runtime.swarm import SwarmDriver
from crds.kinds.service import Service

log = structlog.get_logger("conductor")
AUTO_SECONDS = 2.0
_CONDUCTOR = Principal(CONDUCTOR, frozenset({MASTERS}))
_PUSH_SECONDS = 900
Run = Callable[..., Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Runtime:
    """`tasks` run as long as the conductor. `reach`: the workers a Service may be placed on; None means all."""

    driver: Driver
    environment: Environment
    tasks: tuple[Run, ...]
    reach: Callable[[Service], frozenset[str] | None]
    stop: Callable[[], Awaitable[None]]
    why: str
    swarm: SwarmAdmin | None = None
    node: SwarmNodeInfo | None = None
    docker_calls: Mapping[str, int] | None = None


async def choose(components: Components) -> Runtime:
    """Raises UserError when the settings want a Swarm and there is none."""
    wanted, stack = components.settings.runtime, components.settings.stack
    if wanted == "process":
        return _processes(components, "the settings say so")
    docker = DockerClient()
    swarm = SwarmAdmin(docker)
    node = await _node(swarm, wanted)
    if node is None or not node.manager:
        if wanted == "swarm":
            node = await _made_a_manager(swarm, node)
        else:
            why = "no Docker daemon answers" if node is None else "this machine manages no Docker Swarm"
            return _processes(components, why)
    return _stack(components, stack, docker, swarm, node) if stack else _both(components, docker, swarm, node)


def _processes(components: Components, why: str) -> Runtime:
    driver = _process_driver(components)
    here = frozenset({components.worker})
    return Runtime(driver, _process_environment(components), (driver.run,), lambda _: here, driver.stop_all, why)


def _process_driver(components: Components) -> ProcessDriver:
    return ProcessDriver(
        components.home,
        worker=components.worker,
        clock=components.clock,
        rng=components.rng,
        sandbox=sandbox_of(components.home, components.services),
        forks=fork_server_of(components.clock),
    )


def _process_environment(components: Components) -> ProcessEnvironment:
    return ProcessEnvironment(components, EngineFinder.of_path(components.settings.engine_path))


def _both(components: Components, docker: DockerClient, swarm: SwarmAdmin, node: SwarmNodeInfo) -> Runtime:
    processes = _process_driver(components)
    containers = SwarmDriver(docker, components.clock, encrypted=lambda: bool(_encrypted(components)))
    here = frozenset({components.worker})
    return Runtime(
        CompositeDriver(processes, containers),
        _process_environment(components),
        (processes.run, containers.run),
        lambda service: None if service.spec.image else here,
        processes.stop_all,
        f"this machine manages a Docker Swarm ({node.address}); managed services run as processes beside it",
        swarm,
        node,
        docker.calls,
    )


def _stack(
    components: Components, stack: Stack, docker: DockerClient, swarm: SwarmAdmin, node: SwarmNodeInfo
) -> Runtime:
    driver = SwarmDriver(
        docker,
        components.clock,
        stack=stack.name,
        control_network=stack.control_network,
        encrypted=lambda: _encrypted(components),
    )
    images = ImageResolver(
        REGISTRY_PROXY,
        stack.registry,
        stack.registry_ca_file,
        components.home / "run" / "images.json",
        swarm,
        components.clock,
        lambda: _push_token(components),
    )

    async def keep_images(*, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await images.keep((stack.services_image, stack.agent_image))

    return Runtime(
        driver,
        ContainerEnvironment(components, stack, images, node.address),
        (driver.run, keep_images),
        lambda _: None,
        driver.leave,
        f"this conductor is a part of the stack {stack.name}",
        swarm,
        node,
        docker.calls,
    )


def _encrypted(components: Components) -> bool | None:
    """Whether new networks between machines are encrypted; with `auto`, where every machine can."""
    known = {"on": True, "off": False}.get(components.settings.overlay_encryption)
    return components.peers.all_encrypt() if known is None else known


def _push_token(components: Components) -> str:
    return components.tokens.issue(_CONDUCTOR, seconds=_PUSH_SECONDS, audience=REGISTRY_AUDIENCE)


async def _node(swarm: SwarmAdmin, wanted: str) -> SwarmNodeInfo | None:
    """None when no daemon answers: in `auto`, nobody waits long for one that may not be there."""
    try:
        with anyio.fail_after(AUTO_SECONDS if wanted == "auto" else 30):
            return await swarm.node()
    except (DriverError, TimeoutError) as lost:
        log.debug("no Docker", because=str(lost))
        return None


async def _made_a_manager(swarm: SwarmAdmin, node: SwarmNodeInfo | None) -> SwarmNodeInfo:
    if node is None:
        raise UserError(
            "no Docker daemon answers", hint="systemctl start docker, set DOCKER_HOST, or --runtime process"
        )
    if node.state != "inactive":
        hint = "run it on a manager, or: docker node promote, there"
        raise UserError("this machine belongs to a Docker Swarm, but is no manager of it", hint=hint)
    try:
        await swarm.init_swarm()
        return await swarm.node()
    except DriverError as refused:
        raise UserError(
            f"this machine cannot become a Swarm manager: {refused}", hint="docker swarm init"
        ) from refused
