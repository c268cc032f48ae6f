"""Front door of `aerekos-agent`. Exit codes: 0 stopped, 1 refused (a person must act), 2 misuse."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import structlog

from agent.collect import default_name
from agent.errors import AgentError
from agent.report import Agent
from agent.settings import Settings
from controller.kit.clock import SystemClock

ENVIRONMENT = "AEREKOS_AGENT_"


def parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    """Every option has an environment variable, AEREKOS_AGENT_<OPTION>."""
    made = argparse.ArgumentParser(
        prog="aerekos-agent",
        description="Joins this machine to a conductor as a worker, and keeps its heartbeat.",
        epilog=f"Every option can also be given as {ENVIRONMENT}<OPTION>, e.g. {ENVIRONMENT}API, "
        f"{ENVIRONMENT}CA_SHA256. Labels: k=v,k=v.",
    )

    def option(name: str, text: str, default: str | None = None) -> None:
        variable = ENVIRONMENT + name.upper().replace("-", "_")
        made.add_argument(f"--{name}", help=f"{text} [{variable}]", default=env.get(variable, default))

    option("api", "https://<conductor>:7443; several separated by commas are tried in turn")
    option("token", "join token <name>.<secret>.<ca-sha256>; needed once")
    option("ca", "PEM file of the conductor's CA")
    option("ca-sha256", "SHA-256 of the conductor's CA certificate (the token has it too)")
    option("home", "where the identity is kept", str(Path.home() / ".aerekos"))
    option("name", "this worker's name", default_name())
    option("labels", "labels of the worker, k=v,k=v", "")
    option("services-dir", "the process runtime's run/instances, to measure each service")
    return made


def settings(arguments: Sequence[str], env: Mapping[str, str]) -> Settings:
    """Exits with 2 and an explanation when something is missing."""
    made = parser(env)
    given = made.parse_args(arguments)
    if not given.api:
        made.error("no API address: give --api https://<conductor>:7443 or set AEREKOS_AGENT_API")
    pairs = [each.partition("=") for each in given.labels.split(",") if each]
    return Settings(
        name=given.name,
        home=Path(given.home),
        api=tuple(each.strip() for each in given.api.split(",") if each.strip()),
        token=given.token,
        ca=Path(given.ca) if given.ca else None,
        ca_sha256=given.ca_sha256,
        services_dir=Path(given.services_dir) if given.services_dir else None,
        labels={key: value for key, _, value in pairs},
    )


async def serve(wanted: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    wanted.home.mkdir(parents=True, exist_ok=True)
    agent = Agent(wanted, SystemClock())
    async with anyio.create_task_group() as group:
        group.start_soon(_stop_on_signal, group.cancel_scope)
        try:
            await agent.run()
        finally:
            group.cancel_scope.cancel()


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


def main() -> None:
    """The console script."""
    wanted = settings(sys.argv[1:], os.environ)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ]
    )
    try:
        anyio.run(serve, wanted)
    except* (AgentError, ValueError, OSError) as faults:
        for each in faults.exceptions:
            sys.stderr.write(f"aerekos-agent: {each}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
