"""Which backup is meant: the newest, or the one that knows a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.backup.errors import Refused
from controller.backup.manifest import Head
from crds.model import rfc3339


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, or a revision."""

    at: datetime | None = None
    revision: int = 0

    def __str__(self) -> str:
        return rfc3339(self.at) if self.at is not None else f"revision {self.revision}"


def chosen(heads: Sequence[Head], moment: Moment | None, place: str, cloud: str = "") -> Head:
    """The newest; for a time, the first that was made after it and whose history reaches back to it: its data of
    services are the nearest. For a revision the newest that has it. Of that cloud alone, which must be said where
    several share the place. Raises Refused, and says what there is.
    """
    newest = {each.cloud: each for each in heads}
    there = "; ".join(f"{name} ({each.id}, {rfc3339(each.made_at)})" for name, each in sorted(newest.items()))
    if not heads:
        raise Refused(f"there is no backup in {place}")
    if not cloud and len(newest) > 1:
        raise Refused(f"{place} has backups of {len(newest)} clouds; --cloud NAME says of which: {there}")
    if cloud and cloud not in newest:
        raise Refused(f"there is no backup of {cloud} in {place}, but of {there}")
    heads = [each for each in heads if each.cloud == (cloud or each.cloud)]
    if moment is None:
        return heads[-1]
    fitting = [each for each in heads if _knows(each, moment)]
    if not fitting:
        spans = "; ".join(
            f"{each.id} from {rfc3339(each.oldest_at)} to {rfc3339(each.made_at)}" for each in heads[-3:]
        )
        raise Refused(f"no backup in {place} knows {moment}: {spans}")
    return fitting[0] if moment.at is not None else fitting[-1]


def _knows(head: Head, moment: Moment) -> bool:
    if moment.at is not None:
        return head.oldest_at <= moment.at <= head.made_at
    return head.oldest <= moment.revision <= head.revision
