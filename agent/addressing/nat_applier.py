"""Keeps the kernel as it is wanted: at once when that changes, and again when somebody else has changed it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import anyio
import structlog

from agent.addressing.nat_rules import NatRules
from agent.addressing.netfilter import NetfilterError
from controller.kit.threads import BlockingExecutor

RETRY_SECONDS = 5.0
# So often what stands is compared with what is wanted; a machine without anybody to translate does not look.
RESCAN_SECONDS = 15.0
_log = structlog.get_logger("addressing")


class NatBackend(Protocol):
    """`agent.addressing.netfilter.Netfilter`."""

    def apply(self, desired: NatRules, *, look: bool) -> int:
        """Apply the rules, and return the number of steps. Raises NetfilterError.

        With `look`, what is really there is read first.
        """
        ...


class NatApplier:
    """`desired` is asked each time. The first time whatever an agent before us left behind is replaced."""

    def __init__(self, kernel: NatBackend, threads: BlockingExecutor, desired: Callable[[], NatRules]) -> None:
        self._kernel, self._threads, self._desired = kernel, threads, desired
        self._applied: NatRules | None = None
        self._refusals: frozenset[str] = frozenset()
        self._changed = anyio.Event()

    def wake(self) -> None:
        """Look at the desired rules again now."""
        self._changed.set()

    async def run(self) -> None:
        """Run until cancelled."""
        look = True
        while True:
            self._changed = anyio.Event()
            with anyio.move_on_after(await self._once(look)) as waiting:
                await self._changed.wait()
            look = waiting.cancelled_caught

    async def _once(self, look: bool) -> float:
        """Seconds until what stands should be looked at."""
        desired = self._desired()
        try:
            steps = await self._threads.run(partial(self._kernel.apply, desired, look=look))
        except NetfilterError as refused:
            self._log_refusals({*desired.refused, str(refused)})
            return RETRY_SECONDS
        self._log_refusals(set(desired.refused))
        if steps:
            put_back = desired == self._applied
            _log.info("addresses are translated", rules=len(desired.rules), steps=steps, put_back=put_back)
        self._applied = desired
        return RESCAN_SECONDS if desired != NatRules() else float("inf")

    def _log_refusals(self, refusals: set[str]) -> None:
        """Log each refusal once, for as long as it holds."""
        for each in sorted(refusals - self._refusals):
            _log.error("an address cannot be translated", because=each)
        self._refusals = frozenset(refusals)
