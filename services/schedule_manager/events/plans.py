"""What the engine is told of event rules: each target is one more thing to call, for events or at its times. Pure."""

from __future__ import annotations

from services.schedule_manager.events.shaping import InputTransformer, Shaping
from services.schedule_manager.kinds import ScheduleSpec

NEVER = "at(1970-01-01T00:00:00)"


class PlannedSpec(ScheduleSpec):
    """As it lies in the store: a schedule's, or what one target of a rule of the bus `bus` wants; then `scheduleName`
    is the rule's name. `text`, `path`, `transformer`: what the target gets of an event.
    """

    bus: str = ""
    text: str = ""
    path: str = ""
    transformer: InputTransformer | None = None

    def _needs_role(self) -> bool:
        """What a rule calls without one, the target's own policy decides on."""
        return not self.bus

    @property
    def shaping(self) -> Shaping:
        return Shaping(self.text, self.path, self.transformer)


def is_of_rule(uid: str) -> bool:
    """Whether that is planned for a target of a rule."""
    return "/" in uid


def rule_uid(uid: str) -> str:
    """Of the resource that it is planned for."""
    return uid.partition("/")[0]


def event_uid(rule: str, target: str) -> str:
    """What a target of the rule of that uid gets of events."""
    return f"{rule}/event/{target}"


def time_uid(rule: str, target: str) -> str:
    """What it gets at the rule's times."""
    return f"{rule}/time/{target}"


def target_of(uid: str) -> str:
    """The id of the target in its rule."""
    return uid.split("/", 2)[2]
