"""Docker's connections to a manager that is away wait here until it is back, instead of being refused.

Docker's agents double their pause with each refusal, up to 8 s: after a manager's Docker was restarted (5 s), some
come back later than the Swarm waits for them, and their tasks are taken away. A connection that waits goes on the
moment the manager answers. It passes through us as long as it lives, so we end it soon: the next one, made at once,
does not.

Source: agent/agent.go and manager/dispatcher of https://github.com/moby/swarmkit; measured in docs/swarm.md.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

import anyio
import anyio.abc
import structlog

from agent.addressing.netfilter import NetfilterError
from agent.swarm.callers import Admits
from agent.swarm.manager_redirect import MANAGER_PORT, MARK
from controller.kit.threads import BlockingExecutor

POLL_SECONDS, TRY_SECONDS, CONNECT_SECONDS = 0.25, 0.1, 2.0
HOLD_SECONDS = 20.0
# A session that was cut is made again within 0.1 s.
THROUGH_US_SECONDS = 20.0
_SO_ORIGINAL_DST = 80
Stream = anyio.abc.SocketStream
Connect = Callable[[str], Awaitable[Stream]]
_log = structlog.get_logger("connection-hold")


class RedirectRules(Protocol):
    """`agent.swarm.manager_redirect.ManagerRedirect`."""

    def install(self, port: int) -> None: ...

    def redirect(self, addresses: Sequence[str]) -> None: ...

    def stop_redirecting(self) -> None: ...

    def is_connected(self) -> bool: ...


async def connect_to_manager(address: str) -> Stream:
    """A connection to a manager that our own rule lets pass. Raises OSError, TimeoutError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        with suppress(BlockingIOError):
            sock.connect((address, MANAGER_PORT))
        with anyio.fail_after(CONNECT_SECONDS):
            await anyio.wait_writable(sock)
        if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        return await Stream.from_socket(sock)
    except BaseException:
        sock.close()
        raise


def original_destination(stream: Stream) -> str:
    """The address it was meant for, before the kernel redirected it (netfilter's SO_ORIGINAL_DST)."""
    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 (anyio's)
    told = raw.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
    return socket.inet_ntoa(struct.unpack("!2xH4s8x", told)[1])


class ConnectionHold:
    """Holds Docker's connections while a manager is away.

    `managers` returns their addresses: none on a machine that is a manager itself, or in no Swarm.
    """

    def __init__(
        self,
        rules: RedirectRules,
        threads: BlockingExecutor,
        managers: Callable[[], Sequence[str]],
        *,
        connect: Connect = connect_to_manager,
        destination: Callable[[Stream], str] = original_destination,
        admits: Admits | None = None,
    ) -> None:
        self._rules, self._threads, self._managers = rules, threads, managers
        self._connect, self._original_destination, self._admits = connect, destination, admits
        self._waiting = 0

    async def run(self) -> None:
        """Run until cancelled. A kernel that cannot redirect is logged once, and everything is as without us."""
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 (anyio's)
            try:
                await self._threads.run(partial(self._rules.install, port))
            except NetfilterError as refused:
                _log.warning("Docker is not helped back to a manager that was away", because=str(refused))
                await anyio.sleep_forever()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, self._hold)
                await self._poll_managers()

    async def _poll_managers(self) -> None:
        led = False
        while True:
            managers = list(self._managers())
            away = bool(managers) and (self._waiting > 0 or not await self._threads.run(self._rules.is_connected))
            if away:
                await self._threads.run(partial(self._rules.redirect, managers))
            elif led:
                await self._threads.run(self._rules.stop_redirecting)
            led = away
            await anyio.sleep(POLL_SECONDS)

    async def _hold(self, guest: Stream) -> None:
        """Serve one connection, from its call to its end."""
        async with guest:
            manager = await self._connect_when_back(await self._manager_called(guest))
            if manager is None:
                return
            async with manager:
                with anyio.move_on_after(THROUGH_US_SECONDS):
                    await _copy_both_ways(guest, manager)

    async def _manager_called(self, guest: Stream) -> str:
        """Return the manager it calls; empty when it was not redirected, or is not the daemon's: those end."""
        try:
            address = self._original_destination(guest)
            caller = guest.extra(anyio.abc.SocketAttribute.remote_address)  # noqa: S610 (anyio's)
        except (OSError, anyio.TypedAttributeLookupError):
            return ""
        if address not in self._managers():
            return ""
        if self._admits and not await self._admits((str(caller[0]), int(caller[1])), (address, MANAGER_PORT)):
            return ""
        return address

    async def _connect_when_back(self, address: str) -> Stream | None:
        if not address:
            return None
        self._waiting += 1
        try:
            with anyio.move_on_after(HOLD_SECONDS):
                while True:
                    with suppress(OSError):
                        return await self._connect(address)
                    await anyio.sleep(TRY_SECONDS)
        finally:
            self._waiting -= 1
        return None


async def _copy_both_ways(one: Stream, other: Stream) -> None:
    """Copy in both directions, until either side ends."""
    async with anyio.create_task_group() as tasks:

        async def copy(source: Stream, target: Stream) -> None:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                async for piece in source:
                    await target.send(piece)
            tasks.cancel_scope.cancel()

        tasks.start_soon(copy, one, other)
        tasks.start_soon(copy, other, one)
