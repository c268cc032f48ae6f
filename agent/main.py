"""Entry point of `aerekos-agent`. Exit codes: 0 stopped or done, 1 refused (a person must act), 2 misuse."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import structlog

from agent.collect import default_name
from agent.errors import AgentError
from agent.extension import AgentExtension
from agent.heartbeat import Agent
from agent.settings import ANNOUNCE_PORT, API_PORT, IMAGE_DOOR, MESH_PEERS, MESH_PORT, Settings
from controller.kit.clock import SystemClock
from controller.kit.networks import parse_networks
from controller.kit.unfailing import unfailing
from services.sdk.edge.descriptors import raise_file_limit

ENVIRONMENT = "AEREKOS_AGENT_"
LOG_LEVELS = ("debug", "info", "warning", "error")
PORTS = {"api-port": API_PORT, "announce-port": ANNOUNCE_PORT, "mesh-port": MESH_PORT}
COMMANDS = {
    "run": "join if need be, then keep the heartbeat (what is done without a command)",
    "join": "make this machine's Docker a node of the cloud's Swarm, once",
    "leave": "leave the Swarm, once",
    "mesh": "answer and ask every machine through the overlay network",
}


def parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    """Every option has an environment variable, AEREKOS_AGENT_<OPTION>."""
    listed = "\n".join(f"  {name:6} {text}" for name, text in COMMANDS.items())
    made = argparse.ArgumentParser(
        prog="aerekos-agent",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Makes this machine a worker of a cloud, and keeps its heartbeat.\n\ncommands:\n{listed}",
        epilog=f"Every option can also be given as {ENVIRONMENT}<OPTION>, e.g. {ENVIRONMENT}API, "
        f"{ENVIRONMENT}CA_SHA256. Labels: k=v,k=v.",
    )
    made.add_argument("command", nargs="?", choices=tuple(COMMANDS), default="run", help=argparse.SUPPRESS)

    def option(name: str, text: str, default: str | None = None) -> None:
        variable = ENVIRONMENT + name.upper().replace("-", "_")
        made.add_argument(f"--{name}", help=f"{text} [{variable}]", default=env.get(variable, default))

    option("api", "https://<conductor>:7443; several separated by commas are tried in turn", "")
    option("token", "join token, needed once; better by its variable: everybody on a machine can read arguments")
    option("token-file", "a file with the join token, read whenever it is needed")
    option("ca", "PEM file of the conductor's CA")
    option("ca-sha256", "SHA-256 of the conductor's CA certificate (the token has it too)")
    option("home", "where the identity is kept", str(Path.home() / ".aerekos"))
    option("name", "this worker's name", default_name())
    option("labels", "labels of the worker, k=v,k=v", "")
    option("services-dir", "the process runtime's run/instances, to measure each service")
    option("docker", "URL of this machine's Docker, when it is a node of a Swarm: unix:///var/run/docker.sock")
    option("api-port", "port of the conductor on the Swarm's managers", str(API_PORT))
    option("image-door", "host:port where this machine's Docker finds the cloud's images; empty: nowhere", IMAGE_DOOR)
    option(
        "announce-port", "UDP port of announcements that a machine has moved; the same everywhere", str(ANNOUNCE_PORT)
    )
    option("mesh-port", "mesh: where it answers", str(MESH_PORT))
    option("mesh-peers", "mesh: the name under which it finds the others", MESH_PEERS)
    option("node-networks", "networks that machines of the cloud may be in: private, and CIDRs, by commas", "private")
    option("log-level", f"one of {', '.join(LOG_LEVELS)}", "info")
    made.add_argument("--when-empty", action="store_true", help="leave: not before the last task here has ended")
    return made


def settings(arguments: Sequence[str], env: Mapping[str, str]) -> Settings:
    """Exits with 2 and an explanation when something is missing."""
    return _read(parser(env), parser(env).parse_args(arguments))


def _read(made: argparse.ArgumentParser, given: argparse.Namespace) -> Settings:
    if not given.api and not given.docker:
        made.error("no API address: give --api https://<conductor>:7443 or set AEREKOS_AGENT_API")
    ports = {name: _port(made, f"--{name}", vars(given)[name.replace("-", "_")]) for name in PORTS}
    if given.image_door:
        _port(made, "--image-door HOST:PORT", given.image_door.rpartition(":")[2])
    if given.log_level not in LOG_LEVELS:
        made.error(f"--log-level must be one of {', '.join(LOG_LEVELS)}, not {given.log_level!r}")
    try:
        networks = parse_networks(given.node_networks)
    except ValueError as odd:
        made.error(f"--node-networks: {odd}; e.g. private,203.0.113.0/24")
    pairs = [each.partition("=") for each in given.labels.split(",") if each]
    return Settings(
        name=given.name,
        home=Path(given.home),
        api=tuple(each.strip() for each in given.api.split(",") if each.strip()),
        token=given.token,
        token_file=Path(given.token_file) if given.token_file else None,
        ca=Path(given.ca) if given.ca else None,
        ca_sha256=given.ca_sha256,
        services_dir=Path(given.services_dir) if given.services_dir else None,
        labels={key: value for key, _, value in pairs},
        docker=given.docker or None,
        api_port=ports["api-port"],
        image_door=given.image_door,
        announce_port=ports["announce-port"],
        mesh_port=ports["mesh-port"],
        mesh_peers=given.mesh_peers,
        node_networks=networks,
    )


def _port(made: argparse.ArgumentParser, option: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        made.error(f"{option} must be a port from 1 to 65535, not {text!r}")
    return int(text)


async def serve(wanted: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    raise_file_limit()
    wanted.home.mkdir(parents=True, exist_ok=True)
    agent = Agent(wanted, SystemClock(), extension=_extension(wanted))
    async with anyio.create_task_group() as group:
        group.start_soon(_stop_on_signal, group.cancel_scope)
        try:
            await agent.run()
        finally:
            group.cancel_scope.cancel()


def _extension(wanted: Settings) -> AgentExtension | None:
    """Imported only where it is used: outside a Swarm the agent stays small."""
    if wanted.docker is None:
        return None
    from agent.swarm import SwarmNode

    return SwarmNode(wanted, SystemClock())


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


def _chosen(command: str, wanted: Settings, *, when_empty: bool) -> Callable[[], Any]:
    if command == "run":
        return partial(serve, wanted)
    if command == "mesh":
        from agent.swarm.overlay_probe import run_overlay_probe

        return partial(run_overlay_probe, wanted)
    from agent.swarm import join

    def say(text: str) -> None:
        sys.stdout.write(f"    {text}\n")

    if command == "join":
        return partial(join.join, wanted, say)
    return partial(join.leave, wanted, when_empty=when_empty, say=say)


def start_logging(level: str) -> None:
    """JSON lines on standard output, from that level on."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=unfailing(sys.stdout)),
    )


def main() -> None:
    """The console script."""
    made = parser(os.environ)
    given = made.parse_args(sys.argv[1:])
    wanted = _read(made, given)
    start_logging(given.log_level)
    try:
        anyio.run(_chosen(given.command, wanted, when_empty=given.when_empty))
    except BaseExceptionGroup as faults:
        _complain(_leaves(faults))
    except (AgentError, ValueError, OSError) as fault:
        _complain([fault])


def _leaves(faults: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Raises the group again when anything in it is our own mistake."""
    known, rest = faults.split((AgentError, ValueError, OSError))
    if rest is not None or known is None:
        raise faults
    found: list[BaseException] = []
    for each in known.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found


def _complain(faults: Sequence[BaseException]) -> None:
    for each in faults:
        sys.stderr.write(f"aerekos-agent: {each}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
