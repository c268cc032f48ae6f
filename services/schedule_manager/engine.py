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
from services.schedule_manager.events.names import rule_arn
from services.schedule_manager.events.plans import is_of_rule
from services.schedule_manager.metrics import ScheduleMetrics
from services.schedule_manager.names import schedule_arn
from services.schedule_manager.planning import moment, moved_on, read_spec, retries_of
from services.schedule_manager.schedule_store import Firing, Moved, Planned, ScheduleStore
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
        self._notes: list[tuple[Firing, float | None]] = []
        """How attempts went that is not written yet, as `ScheduleStore.note` takes it."""
        self._noting = anyio.Lock()
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
        longest = _FAILED_SECONDS if self._notes else _LONGEST_SLEEP
        seconds = longest if following is None else following - now
        with anyio.move_on_after(min(seconds, longest)):
            await self._news.wait()

    async def _fire(self) -> int:
        """Turn what is due into firings. Returns how many schedules were."""
        now = self._clock.now()
        return await self._threads.run(
            lambda: self._store.fire(now.timestamp(), _BATCH, lambda each: self._moved(each, now))
        )

    def _moved(self, plan: Planned, now: datetime) -> Moved | None:
        """None for one that cannot be reckoned: no other one is to wait for it."""
        try:
            found, moved = moved_on(plan, now)
            concurrency = read_spec(plan.spec).concurrency
        except Exception:
            log.exception("a schedule is set aside", extra={"fields": {"schedule": plan.uid}})
            return None
        if found and concurrency == "Forbid" and self._store.has_firings(plan.uid):
            self._metrics.count("skipped", len(found))
            return Moved(moved.due)
        return Moved(moved.due, found, replaces=bool(found) and concurrency == "Replace")

    async def _try(self, attempts: anyio.abc.TaskGroup) -> int:
        """Begin the attempts that are due. Returns how many were."""
        now, begun = self._clock.now().timestamp(), 0
        if len(self._trying) >= AT_ONCE or not await self._is_noted():
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
            log.exception("an attempt was not noted", extra={"fields": {"firing": firing.id}})
            await anyio.sleep(_FAILED_SECONDS)
        finally:
            self._trying.pop(firing.uid, None)
            self.wake()

    async def _attempted(self, firing: Firing, plan: Planned) -> None:
        name = self._name_of(plan)
        if name is None:
            await self._threads.run(lambda: self._store.forget(firing.uid))
            return
        if not firing.attempts:
            self._metrics.observe_lateness(self._clock.now().timestamp() - firing.fires)
        try:
            event = await self._threads.run(lambda: self._store.event_of(firing)) if is_of_rule(plan.uid) else ""
            occasion = _occasion(firing, plan, name, event)
        except Exception as error:
            log.exception("a firing cannot be read", extra={"fields": {"firing": firing.id}})
            await self._again(firing._replace(attempts=firing.attempts + 1), _internal(error))
            return
        if firing.exhausted:
            await self._give_up(occasion)
        else:
            await self._deliver(occasion)

    async def _deliver(self, occasion: Occasion) -> None:
        fault = await self._fault_of(self._delivery.deliver(occasion))
        firing = occasion.firing._replace(attempts=occasion.firing.attempts + 1)
        if fault is None:
            await self._end(firing, "")
            return
        exhausted = _exhausted(occasion._replace(firing=firing), fault, self._clock.now())
        if exhausted is None:
            await self._again(firing, fault)
            return
        firing = firing._replace(fault=str(fault), exhausted=exhausted)
        if occasion.spec.target.dead_letter_arn:
            await self._note(firing, None)  # from here on the target is not called again, whatever becomes of it
        await self._give_up(occasion._replace(firing=firing))

    async def _fault_of(self, attempt: Awaitable[None]) -> DeliveryFault | None:
        """Also what nobody thought of is one, and waits as long as others do for its next attempt."""
        try:
            with anyio.fail_after(ATTEMPT_SECONDS):
                await attempt
        except DeliveryFault as fault:
            return fault
        except TimeoutError:
            return DeliveryFault("Timeout", f"it did not answer within {ATTEMPT_SECONDS:g} s")
        except Exception as error:
            log.exception("an attempt broke")
            return _internal(error)
        return None

    async def _give_up(self, occasion: Occasion) -> None:
        """Its target is not called again: into the dead-letter queue, where it has one."""
        firing, now = occasion.firing, self._clock.now()
        if not occasion.spec.target.dead_letter_arn:
            await self._end(firing, firing.fault)
            return
        refused = await self._fault_of(self._delivery.bury(occasion))
        if refused is None:
            await self._end(firing, firing.fault)
        elif now - moment(firing.fires) > timedelta(days=DEAD_LETTER_DAYS + 1):
            await self._end(firing, f"{firing.fault}; its dead-letter queue did not take it, either")
        else:
            log.warning("a dead letter was not taken: %s", refused, extra={"fields": {"schedule": occasion.arn}})
            # It waits as long again as it has waited: its attempts are those of its target.
            age = now.timestamp() - firing.fires
            seconds = max(self._backoff.first, min(age, self._backoff.limit), refused.retry_after)
            await self._note(firing._replace(next_attempt=now.timestamp() + seconds), None)

    async def _again(self, firing: Firing, fault: DeliveryFault) -> None:
        self._metrics.count("failed")
        delay = self._backoff.delay(firing.attempts, random.Random(firing.id))  # noqa: S311 - each always alike
        at = self._clock.now().timestamp() + max(delay, fault.retry_after)
        await self._note(firing._replace(next_attempt=at, fault=str(fault)), None)

    async def _end(self, firing: Firing, fault: str) -> None:
        self._metrics.count("given up" if fault else "delivered")
        if fault:
            log.warning("not delivered: %s", fault, extra={"fields": {"schedule": firing.uid, "firing": firing.id}})
        await self._note(firing._replace(fault=fault), self._clock.now().timestamp())

    async def _note(self, firing: Firing, ended: float | None) -> None:
        self._notes.append((firing, ended))
        await self._write_notes()

    async def _write_notes(self) -> None:
        """One transaction is for all that wait for it. What cannot be written is kept, and raises for each."""
        async with self._noting:
            notes, self._notes = self._notes, []
            try:
                over = await self._threads.run(lambda: self._store.note(notes)) if notes else []
            except BaseException:
                self._notes = notes + self._notes
                raise
        for plan in over:
            await self._completed(plan)

    async def _is_noted(self) -> bool:
        """Whether it is written how all attempts went: until then none is made, for it might be one too many."""
        if self._notes:
            try:
                await self._write_notes()
            except Exception:
                log.exception("attempts are not noted; none is made until they are")
        return not self._notes


def _internal(error: Exception) -> DeliveryFault:
    """Its kind alone: what it says may have something of the input in it."""
    return DeliveryFault("InternalError", f"the call could not be made ({type(error).__name__})")


def _occasion(firing: Firing, plan: Planned, name: str, event: str) -> Occasion:
    spec = read_spec(plan.spec)
    account, called = account_of(plan.namespace), spec.schedule_name or name
    if spec.bus:
        arn = rule_arn(spec.region, account, spec.bus, called)
    else:
        arn = schedule_arn(spec.region, account, spec.group, called)
    return Occasion(firing, spec, plan.namespace, account, arn, event)


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
