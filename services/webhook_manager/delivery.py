"""What came of an attempt, and what follows from it: when the next one is, and how the endpoint stands. Pure."""

from __future__ import annotations

import random
from typing import NamedTuple

from services.webhook_manager.message import HEALTHY, Health, Message, State

GONE = 410
JITTER = 0.2
LONGEST_WAIT_SECONDS = 86_400.0
"""What a `Retry-After` may ask for at most."""
STREAK_GAP_SECONDS = 129_600.0
"""36 hours: failures further apart are no streak, since nothing was tried between them."""
DAY = 86_400.0


class NotAttempted(Exception):
    """Nothing was sent, for a reason of ours that holds for all messages to that receiver, and is no failure of it.
    The words are for the log. retry_after: seconds.
    """

    def __init__(self, why: str, *, retry_after: float) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class AttemptResult(NamedTuple):
    """status: of the answer, 0 where there was none. fault: why it was not taken, empty where it was. retry_after:
    seconds for which whoever was called wants to be left alone. lasting: trying again cannot help.
    """

    status: int
    fault: str = ""
    retry_after: float = 0.0
    lasting: bool = False


class Receiver(NamedTuple):
    """Whom messages are for, and how they are sent. `delays`: seconds between the attempts. `disable_after`: days of
    failing, None for never. `paused`: nothing is sent now.
    """

    uid: str
    namespace: str
    name: str
    kind: str
    generation: int
    concurrency: int
    rate: float | None
    timeout: float
    delays: tuple[int, ...]
    disable_after: int | None
    retention: float
    paused: bool


class Verdict(NamedTuple):
    """`due`: of the next attempt, where the message still waits. `health`: None where it is as it was."""

    state: State
    due: float
    health: Health | None


def verdict(receiver: Receiver, message: Message, answer: AttemptResult, health: Health, now: float) -> Verdict:
    """What follows from that answer, which came at `now`."""
    if not answer.fault:
        return Verdict(State.DELIVERED, now, None if health == HEALTHY else HEALTHY)
    after = _failing(receiver, answer, health, now) if receiver.kind == "endpoint" else None
    attempts = message.attempts + 1
    if answer.lasting or attempts > len(receiver.delays):
        return Verdict(State.FAILED, now, after)
    return Verdict(State.WAITING, now + _delay(receiver, message, answer), after)


def _delay(receiver: Receiver, message: Message, answer: AttemptResult) -> float:
    """Spread, always alike for one attempt of one message."""
    rng = random.Random(f"{message.id}/{message.attempts}")  # noqa: S311 - no secret
    plain = receiver.delays[message.attempts] * (1 + JITTER * (2 * rng.random() - 1))
    return max(plain, min(answer.retry_after, LONGEST_WAIT_SECONDS))


def _failing(receiver: Receiver, answer: AttemptResult, health: Health, now: float) -> Health:
    """How an endpoint stands after one more failure."""
    is_streak = health.failed_at is not None and now - health.failed_at <= STREAK_GAP_SECONDS
    since = health.failing_since if is_streak and health.failing_since is not None else now
    found = Health(since, now, health.disabled_at, health.because, health.generation)
    if found.disabled_at is not None:
        return found
    because = _reason_to_disable(receiver, answer, now - since)
    if not because:
        return found
    return found._replace(disabled_at=now, because=because, generation=receiver.generation)


def _reason_to_disable(receiver: Receiver, answer: AttemptResult, seconds: float) -> str:
    if answer.status == GONE:
        return "it answered 410 Gone"
    days = receiver.disable_after
    if days is None or seconds < days * DAY:
        return ""
    return f"nothing was taken for {days} {'day' if days == 1 else 'days'}: {answer.fault}"
