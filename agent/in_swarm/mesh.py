"""`aerekos-agent mesh`: can every machine be reached through the overlay network? Runs in it, once on each machine.

Overlay networks can break between two machines while Swarm calls both Ready. So each asks each: a TCP connection that
is answered with the worker's name. The result becomes the worker's condition OverlayReachable.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.abc
import structlog

from agent.door import Door
from agent.errors import AgentError
from agent.identity import IdentityFile
from agent.settings import Settings
from controller.kit.clock import SystemClock

PORT = 7448
PEERS = "tasks.mesh"
ASK_SECONDS, ANSWER_SECONDS, TELL_SECONDS = 5.0, 2.0, 60.0
LONGEST_NAME = 64
_log = structlog.get_logger("mesh")


@dataclass(frozen=True, slots=True)
class Asked:
    """One peer's answer. `worker` is empty when none came."""

    worker: str
    milliseconds: float
    error: str = ""


async def mesh(settings: Settings) -> None:
    """Until cancelled."""
    listener = await anyio.create_tcp_listener(local_port=PORT)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, _answering(settings.name))
        await _ask_and_tell(settings)


def _answering(name: str) -> Any:
    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(name.encode())

    return answer


async def _ask_and_tell(settings: Settings) -> None:
    keeper, door = IdentityFile(settings.home / "agent" / "identity.json"), Door(settings.api, SystemClock())
    names: dict[str, str] = {}
    told: Mapping[str, bool] | None = None
    told_at = 0.0
    while True:
        seen = await _ask_all(names)
        now = {worker: not each.error for worker, each in seen.items()}
        if now != told or time.monotonic() - told_at > TELL_SECONDS:
            body = {worker: {"ok": not each.error, "milliseconds": each.milliseconds, "error": each.error}
                    for worker, each in seen.items()}  # fmt: skip
            try:
                if identity := keeper.load():
                    await door.call(identity, "/agents/overlay", {"peers": body})
                    told, told_at = now, time.monotonic()
            except (AgentError, ValueError) as lost:
                _log.debug("not told", because=str(lost))
        await anyio.sleep(ASK_SECONDS)


async def _ask_all(names: dict[str, str]) -> dict[str, Asked]:
    """By worker. `names` remembers who was at an address: one that does not answer cannot say who it is."""
    addresses = await _addresses()
    found: dict[str, Asked] = {}

    async def ask(address: str) -> None:
        asked = await _ask(address)
        if asked.worker:
            names[address] = asked.worker
        found[asked.worker or names.get(address, address)] = asked

    async with anyio.create_task_group() as tasks:
        for address in addresses:
            tasks.start_soon(ask, address)
    return found


async def _addresses() -> set[str]:
    try:
        listed = await anyio.getaddrinfo(PEERS, PORT, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {str(each[4][0]) for each in listed}


async def _ask(address: str) -> Asked:
    began = time.monotonic()
    try:
        with anyio.fail_after(ANSWER_SECONDS):
            async with await anyio.connect_tcp(address, PORT) as stream:
                name = (await stream.receive(LONGEST_NAME)).decode(errors="replace")
    except (OSError, TimeoutError, anyio.EndOfStream) as lost:
        return Asked("", round((time.monotonic() - began) * 1000, 1), str(lost) or type(lost).__name__)
    return Asked(name, round((time.monotonic() - began) * 1000, 1))
