"""`python -m services.sdk.run`: one managed service, its HTTP server and its reconcilers, in one event loop.

SIGTERM or SIGINT: stop being ready, finish what is under way, leave with 0. Environment: docs/interfaces.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from controller.kit import tracing
from controller.kit.process_exit import exit_now
from crds.managed import ManagedService
from services.sdk.app import ServiceApp
from services.sdk.context import ServiceContext, from_environment
from services.sdk.discovery import VARIABLE, managed_service, use_folders
from services.sdk.logs import start_logging, start_structlog
from services.sdk.server import PATIENCE, gateway_server, open_server
from services.sdk.service import create_service
from services.sdk.wrapped_secrets import open_wrapped

log = logging.getLogger("services.sdk.run")
LAST_SPANS_SECONDS = 1.0


async def serve(context: ServiceContext, manifest: ManagedService) -> None:
    """Serves until a signal says stop."""
    await open_wrapped(context)
    app = ServiceApp(context, create_service(manifest, context))
    tls, running = context.certificate, []
    if tls is not None:
        await tls.obtain()
        running.append(asyncio.create_task(tls.run()))
    servers = [await open_server(app, context.host, context.port, tls.context if tls else None)]
    if context.sockets:
        servers.append(gateway_server(app, context.sockets))
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopped.set)
    async with app.running():
        for server in servers:
            server.start()
        log.info("the service is up", extra={"fields": {"port": context.port}})
        await stopped.wait()
        app.stop_soon()
        await asyncio.gather(*(server.stop(PATIENCE) for server in servers))
    log.info("the service has stopped")
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await context.client.aclose()


def main() -> None:
    context = from_environment()
    level = os.environ.get("AEREKOS_LOG_LEVEL", "INFO")
    start_logging(level, service=context.service_name, instance=context.name)
    start_structlog(service=context.service_name, instance=context.name)
    use_folders(os.environ.get(VARIABLE, ""))  # a fork has loaded `services` without
    manifest = managed_service(context.service)
    if manifest is None:
        raise SystemExit(f"there is no managed service {context.service!r}")
    if endpoint := os.environ.get("AEREKOS_OTLP_ENDPOINT"):
        tracing.start(endpoint, context.service_name, instance=context.name, report=_report_collector)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(context, manifest))
        tracing.stop(LAST_SPANS_SECONDS)
        exit_now(0)


def _report_collector(taken: bool, what: str) -> None:
    log.log(logging.INFO if taken else logging.WARNING, what)


if __name__ == "__main__":
    main()
