"""Rotation: the four steps of AWS, one after another, until the new version is current or somebody cancels.

    createSecret   makes a value for the pending version
    setSecret      makes the database or service take it
    testSecret     uses it
    finishSecret   moves AWSCURRENT to it

Each may come twice: whoever carries it out looks at what is there. A step that fails leaves AWSCURRENT where it is,
and all four are tried again, after a growing delay.

Source: AWS Secrets Manager User Guide, "Rotation by Lambda function".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from services.secrets_manager.kinds import ManagedSecretStatus, RotationRules
from services.secrets_manager.metrics import SecretsMetrics
from services.secrets_manager.rotation_targets import built_in
from services.secrets_manager.schedule import ScheduleFault, parse_schedule, parse_window
from services.secrets_manager.secret import FoundSecret
from services.secrets_manager.secret_store import SecretStore

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class RotationFailure(Exception):
    """A step that was not done, and why; the reason has nothing secret in it."""


class Rotator(Protocol):
    """Whoever carries out steps."""

    async def carry_out(self, step: str, found: FoundSecret, token: str) -> None:
        """Raises RotationFailure."""
        ...


class Rotations:
    """built_in: by the name of the function. webhooks: for every address."""

    def __init__(
        self, store: SecretStore, webhooks: Rotator, built_in: Mapping[str, Rotator], metrics: SecretsMetrics
    ) -> None:
        self._store, self._webhooks, self._built_in, self._metrics = store, webhooks, built_in, metrics

    async def rotate(self, found: FoundSecret, token: str) -> FoundSecret:
        """The secret, whose current version is the new one. Raises RotationFailure with the step in its words, and
        AwsError.
        """
        done = False
        try:
            found = await self._carry_out(found, token)
            done = True
        finally:
            self._metrics.count_rotation(done=done)
        return found

    async def _carry_out(self, found: FoundSecret, token: str) -> FoundSecret:
        rules = found.spec.rotation
        if rules is None:
            raise RotationFailure("nothing is said of how it is rotated")
        if not found.has_value(found.current or ""):
            raise RotationFailure("it has no value to rotate")
        found = await self._store.add_pending(found, token)
        rotator = self._built_in.get(built_in(rules.target), self._webhooks)
        for step in STEPS:
            try:
                await rotator.carry_out(step, await self._store.fresh(found), token)
            except RotationFailure as failure:
                raise RotationFailure(f"{step}: {failure}") from failure
        found = await self._store.fresh(found)
        if found.current != token:
            raise RotationFailure("finishSecret: it answered, and the pending version is not the current one")
        return found


def rules_text(rules: RotationRules | None) -> str:
    """What the next date is reckoned from; empty where there is none."""
    if rules is None or not rules.enabled or not (rules.after_days or rules.schedule):
        return ""
    return rules.schedule or f"rate({rules.after_days} days)"


def next_rotation(rules: RotationRules | None, after: datetime) -> datetime | None:
    """When it is rotated next, if it was last at that moment, or its rules are from then."""
    text = rules_text(rules)
    if not text:
        return None
    if rules is not None and rules.after_days:
        return after + timedelta(days=rules.after_days)
    try:
        return parse_schedule(text).after(after)
    except ScheduleFault:  # no such day for years
        return None


def is_missed(rules: RotationRules | None, due: datetime, now: datetime) -> bool:
    """Whether its window is closed by now."""
    return rules is not None and bool(rules.duration) and now >= due + parse_window(rules.duration)


def update_next(status: ManagedSecretStatus, rules: RotationRules | None, now: datetime) -> None:
    """Reckon the next rotation, where the rules are others than they were, or its window was missed."""
    text, due = rules_text(rules), status.next_rotation_at
    if status.rotation_rules != text:
        status.rotation_rules = text
        status.next_rotation_at = next_rotation(rules, now)
    elif due is not None and is_missed(rules, due, now):
        status.next_rotation_at = next_rotation(rules, now)
