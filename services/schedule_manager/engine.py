"""Calls what is due: turns due times into firings, tries each until it is delivered or given up.

It sleeps until the next time something wants something. What was written is never forgotten: a firing that was sent
and not yet noted as delivered when the process was killed is sent again, under the same id. The firings of one
schedule are tried one after another, in the order of their due times; one that failed waits for its next attempt and
lets the later ones pass.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import anyio
import anyio.abc

from services.schedule_manager.delivery import Delivery, DeliveryFault, Occasion
from services.schedule_manager.metrics import ScheduleMetrics
from services.schedule_manager.names import schedule_arn
from services.schedule_manager.planning import moment, moved_on, read_spec, retries_of
from services.schedule_manager.schedule_store import Firing, Planned, ScheduleStore
from services.sdk.aws.accounts import account_of
from services.sdk.resources import Backoff, BlockingExecutor, Clock

AT_ONCE, MOST_OF_ONE = 256, 64
"""Attempts under way at the same moment, and those of one namespace: whose targets are slow delays nobody else."""
_BATCH = 500
_LONGEST_SLEEP = 60.0
ATTEMPT_SECONDS = 30.0
_FAILED_SECONDS = 1.0
DEAD_LETTER_DAYS = 1
log = logging.getLogger("schedule_manager")
Completed = Callable[[Planned], Awaitable[None]]
NameOf = Callable[[Planned], str | None]


class Engine:
    """One per process. `name_of`: what a schedule is called, None once it is gone; `completed` hears of schedules
    that will never be due again, when nothing of theirs is under way.
    """

    def __init__(
        self,
        store: ScheduleStore,
        delivery: Delivery,
        clock: Clock,
        threads: BlockingExecutor,
        metrics: ScheduleMetrics,
        name_of: NameOf,
        completed: Completed,
        backoff: Backoff,
    ) -> None:
        self._store, self._delivery, self._clock, self._threads = store, delivery, clock, threads
        self._metrics, self._name_of, self._completed, self._backoff = metrics, name_of, completed, backoff
        self._news = anyio.Event()
        self._ended: list[tuple[Firing, float, str]] = []
        self._ending = anyio.Lock()
        self._trying: dict[str, str] = {}
        """The namespaces of schedules that are called now, by uid."""

    def wake(self) -> None:
        """Something is due at another time than it was."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        self._trying.clear()
        async with anyio.create_task_group() as attempts:
            while True:
                self._news = anyio.Event()
                busy = await self._fire() + await self._try(attempts)
                if not busy:
                    await self._sleep()

    async def _sleep(self) -> None:
        now = self._clock.now().timestamp()
        following = await self._threads.run(lambda: self._store.next_time(now))
        seconds = _LONGEST_SLEEP if following is None else following - now
        with anyio.move_on_after(min(seconds, _LONGEST_SLEEP)):
            await self._news.wait()

    async def _fire(self) -> int:
        """Turn what is due into firings. Returns how many schedules were."""
        now = self._clock.now()
        plans = await self._threads.run(lambda: self._store.due(now.timestamp(), _BATCH))
        if plans:
            await self._threads.run(lambda: self._write(plans, now))
        return len(plans)

    def _write(self, plans: list[Planned], now: datetime) -> None:
        fired: list[Firing] = []
        after: list[Planned] = []
        replaced: list[str] = []
        for plan in plans:
            found, moved = moved_on(plan, now)
            after.append(moved)
            concurrency = read_spec(plan.spec).concurrency
            if found and concurrency == "Forbid" and self._store.has_firings(plan.uid):
                self._metrics.count("skipped", len(found))
                continue
            if found and concurrency == "Replace":
                replaced.append(plan.uid)
            fired += found
        self._store.fire(fired, after, replaced)

    async def _try(self, attempts: anyio.abc.TaskGroup) -> int:
        """Begin the attempts that are due. Returns how many were."""
        now, begun = self._clock.now().timestamp(), 0
        if len(self._trying) >= AT_ONCE:
            return 0
        busy, room = set(self._trying), AT_ONCE - len(self._trying)
        shares = Counter(self._trying.values())
        full = {namespace for namespace, count in shares.items() if count >= MOST_OF_ONE}
        for firing, plan in await self._threads.run(lambda: self._store.waiting(now, room, busy, full)):
            if firing.uid in self._trying or shares[plan.namespace] >= MOST_OF_ONE:
                continue
            shares[plan.namespace] += 1
            self._trying[firing.uid] = plan.namespace
            attempts.start_soon(self._attempt, firing, plan)
            begun += 1
        return begun

    async def _attempt(self, firing: Firing, plan: Planned) -> None:
        try:
            await self._attempted(firing, plan)
        except Exception:
            log.exception("an attempt broke", extra={"fields": {"firing": firing.id}})
            await anyio.sleep(_FAILED_SECONDS)
        finally:
            self._trying.pop(firing.uid, None)
            self.wake()

    async def _attempted(self, firing: Firing, plan: Planned) -> None:
        name = self._name_of(plan)
        if name is None:
            await self._threads.run(lambda: self._store.forget(firing.uid))
            return
        occasion = _occasion(firing, plan, name)
        if not firing.attempts:
            self._metrics.observe_lateness(self._clock.now().timestamp() - firing.fires)
        fault = await self._fault_of(occasion)
        firing = firing._replace(attempts=firing.attempts + 1)
        if fault is None:
            await self._end(firing, "")
        else:
            await self._failed(occasion._replace(firing=firing), fault)

    async def _fault_of(self, occasion: Occasion) -> DeliveryFault | None:
        try:
            with anyio.fail_after(ATTEMPT_SECONDS):
                await self._delivery.deliver(occasion)
        except DeliveryFault as fault:
            return fault
        except TimeoutError:
            return DeliveryFault("Timeout", f"it did not answer within {ATTEMPT_SECONDS:g} s")
        return None

    async def _failed(self, occasion: Occasion, fault: DeliveryFault) -> None:
        firing, now = occasion.firing, self._clock.now()
        exhausted = _exhausted(occasion, fault, now)
        if exhausted is None:
            await self._again(firing, str(fault), now)
        elif not occasion.spec.target.dead_letter_arn or await self._buried(occasion, fault, exhausted):
            await self._end(firing, str(fault))
        elif now - moment(firing.fires) > timedelta(days=DEAD_LETTER_DAYS + 1):
            await self._end(firing, f"{fault}; its dead-letter queue did not take it, either")
        else:
            await self._again(firing, str(fault), now)

    async def _again(self, firing: Firing, fault: str, now: datetime) -> None:
        self._metrics.count("failed")
        at = now.timestamp() + self._backoff.delay(firing.attempts, random.Random(firing.id))  # noqa: S311 - each always alike
        await self._threads.run(lambda: self._store.retry(firing.id, firing.attempts, at, fault))

    async def _buried(self, occasion: Occasion, fault: DeliveryFault, exhausted: str) -> bool:
        try:
            await self._delivery.bury(occasion, fault, exhausted)
        except DeliveryFault as refused:
            log.warning("a dead letter was not taken: %s", refused, extra={"fields": {"schedule": occasion.arn}})
            return False
        return True

    async def _end(self, firing: Firing, fault: str) -> None:
        self._metrics.count("given up" if fault else "delivered")
        if fault:
            log.warning("not delivered: %s", fault, extra={"fields": {"schedule": firing.uid, "firing": firing.id}})
        self._ended.append((firing, self._clock.now().timestamp(), fault))
        async with self._ending:  # one transaction is for all that wait for it
            ended, self._ended = self._ended, []
            over = await self._threads.run(lambda: self._store.end(ended)) if ended else []
        for plan in over:
            await self._completed(plan)


def _occasion(firing: Firing, plan: Planned, name: str) -> Occasion:
    spec = read_spec(plan.spec)
    account = account_of(plan.namespace)
    arn = schedule_arn(spec.region, account, spec.group, spec.schedule_name or name)
    return Occasion(firing, spec, plan.namespace, account, arn)


def _exhausted(occasion: Occasion, fault: DeliveryFault, now: datetime) -> str | None:
    """Why it is not tried any more, in AWS's words; None where it is."""
    policy, firing = retries_of(occasion.spec), occasion.firing
    if fault.lasting:
        return "NotRetryable"
    if firing.attempts > policy.maximum_retry_attempts:
        return "MaximumRetryAttempts"
    if now - moment(firing.fires) >= timedelta(seconds=policy.maximum_event_age_seconds):
        return "MaximumEventAgeInSeconds"
    return None
