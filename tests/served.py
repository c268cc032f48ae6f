"""An ASGI application behind a real uvicorn on a port of its own, in the event loop of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

import anyio
import uvicorn


class QuietServer(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    def capture_signals(self) -> AbstractContextManager[None]:
        return nullcontext()


@asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[str]:
    """Its address, `127.0.0.1:port`. `options`: more of `uvicorn.Config`."""
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", server_header=False, **options)
    server = QuietServer(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        with anyio.fail_after(60):
            while not server.started:  # noqa: ASYNC110 (uvicorn tells nobody)
                await anyio.sleep(0.01)
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        for each in server.servers:  # at once: its own way to end looks at a flag ten times a second
            each.close()
        tasks.cancel_scope.cancel()
