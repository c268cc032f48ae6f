"""The base of every record on the wire: camelCase outside, snake_case inside, unknown fields refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

_EPOCH, _SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)
_REMEMBERED_SECONDS = 4096


WHEN_USED = ConfigDict(defer_build=True)
"""For models of resources: a conductor knows hundreds of them, and one that starts needs a third."""


class Model(BaseModel):
    """One JSON object. Field names are camelCase on the wire (Kubernetes API conventions)."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        validate_assignment=False,
    )

    def wire(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, absent instead of null."""
        # As `model_dump`, which looks at fifteen options first: that is as long as the dump of a small resource.
        told: dict[str, Any] = self.__pydantic_serializer__.to_python(
            self, mode="json", by_alias=True, exclude_none=True
        )
        return told


NothingAsAbsent = AfterValidator(lambda value: value or None)
"""An empty map or list is kept as no field at all, as Kubernetes keeps it: `annotations: {}` changes nothing."""


def known_fields(sort: type[Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """What this version's dataclass `sort` knows of a stored object: a newer one may have stored more, before a
    rollback.
    """
    names = {each.name for each in fields(sort)}
    return {name: value for name, value in stored.items() if name in names}


def rfc3339(moment: datetime) -> str:
    """`2026-01-02T03:04:05Z`: whole seconds, UTC, as Kubernetes writes `metav1.Time`."""
    aware = moment if moment.tzinfo is not None else moment.astimezone(UTC)
    return _text_of((aware - _EPOCH) // _SECOND)


@lru_cache(_REMEMBERED_SECONDS)
def _text_of(second: int) -> str:
    """Remembered: writes of one second have the same time, and what is written again was made when it was made."""
    utc = _EPOCH + timedelta(seconds=second)
    return f"{utc.isoformat(timespec='seconds')[: -len('+00:00')]}Z"


def rfc3339_milli(moment: datetime) -> str:
    """`2026-01-02T03:04:05.006Z`, as AWS writes times of events."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def rfc3339_micro(moment: datetime) -> str:
    """`2026-01-02T03:04:05.000006Z`, as Kubernetes writes `metav1.MicroTime`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


Timestamp = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
MicroTimestamp = Annotated[datetime, PlainSerializer(rfc3339_micro, return_type=str, when_used="json")]
