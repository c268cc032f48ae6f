"""What is sent to the API of this service."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import Field, field_validator, model_validator

from crds.model import Model
from services.webhook_manager.message import State
from services.webhook_manager.names import is_id

MOST_IDS = 1_000
StateName = Literal["Waiting", "Delivered", "Failed"]
STATES: dict[str, State] = {"Waiting": State.WAITING, "Delivered": State.DELIVERED, "Failed": State.FAILED}
Id = Annotated[str, Field(min_length=1, max_length=128)]


def _failed() -> list[StateName]:
    return ["Failed"]


class NewMessage(Model):
    """A message to be sent. `type`: what happened (`invoice.paid`); `data`: any JSON. `id`: under which it is sent
    once, whatever asks for it twice; made here where it is empty. `source`, `subject`: as CloudEvents have them;
    `time`: when it happened, now if nothing is said.
    """

    type: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/:-]{1,200}$")]
    data: Any = None
    id: Annotated[str, Field(max_length=128)] = ""
    source: Annotated[str, Field(max_length=512)] = ""
    subject: Annotated[str, Field(max_length=512)] = ""
    time: datetime | None = None

    def digest(self) -> str:
        """By which the same is known when it is asked for again, whatever time it is then."""
        asked = self.model_dump(exclude={"id"}, mode="json")
        return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()

    @field_validator("data")
    @classmethod
    def _can_be_written(cls, data: Any) -> Any:
        try:
            json.dumps(data, allow_nan=False)
            orjson.dumps(data)
        except (TypeError, ValueError, RecursionError) as fault:
            raise ValueError(f"cannot be sent as JSON that all read alike: {fault}") from None
        return data

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        if self.id and not is_id(self.id):
            raise ValueError("id: letters, digits, _ and - alone")
        if self.time is not None and self.time.tzinfo is None:
            raise ValueError("time: must say its zone, such as Z")
        if self.time is not None and not 1970 <= self.time.year < 10_000:
            raise ValueError("time: must be after 1970")
        return self


class Replay(Model):
    """What is sent again: either `ids`, or what was taken from `since` (until `until`, else until now) and stands as
    `states` say; those that failed, if nothing is said.
    """

    ids: list[Id] = Field(default_factory=list, max_length=MOST_IDS)
    since: datetime | None = None
    until: datetime | None = None
    states: list[StateName] = Field(default_factory=_failed, min_length=1, max_length=3)

    @field_validator("since", "until")
    @classmethod
    def _has_a_zone(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and moment.tzinfo is None:
            raise ValueError("must say its zone, such as Z")
        return moment

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if bool(self.ids) == (self.since is not None) or (self.ids and self.until is not None):
            raise ValueError("say either ids, or since and until")
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise ValueError("until: must be after since")
        return self
