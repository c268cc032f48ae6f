"""DescribeEvents: what the cloud tells of Databases, of their servers and of parameter groups, for an hour."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from crds.kinds.event import EVENT, Event
from crds.kinds.service import SERVICE
from crds.model import rfc3339
from services.db_manager.kinds import DATABASE
from services.db_manager.rds import errors
from services.db_manager.rds.instance import FoundInstance
from services.db_manager.rds.instance_store import InstanceStore
from services.db_manager.rds.names import rds_arn
from services.db_manager.rds.pages import PAGED, filtered, page
from services.db_manager.rds.parameter_group import DATABASE_PARAMETER_GROUP
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Clock, Resources

Json = dict[str, Any]
_DEFAULT_MINUTES, _MOST_MINUTES = 60, 20160
_INSTANCE, _GROUP = "db-instance", "db-parameter-group"


class EventOperations:
    """`own`: the service's own resources."""

    def __init__(self, store: InstanceStore, own: Resources, clock: Clock) -> None:
        self._store, self._own, self._clock = store, own, clock

    @operation(
        "DescribeEvents",
        permission=("list", DATABASE),
        understands=("SourceIdentifier", "SourceType", "StartTime", "EndTime", "Duration", "EventCategories", *PAGED),
    )
    async def describe_events(self, call: RequestContext, request: Json) -> Json:
        await self._store.require_all(call, request)
        wanted = _Wanted.of(request, self._clock.now())
        sources = _sources(await self._store.all(call))
        listing = await self._own.list(EVENT, call.namespace)
        told = [(source, each) for each in listing.items if (source := _source_of(each, sources)) is not None]
        rows = [_event_view(call, source, each) for source, each in told if wanted.takes(source, each)]
        if categories := request.get("EventCategories"):
            rows = [each for each in rows if not set(categories).isdisjoint(each["EventCategories"])]
        shown, more = page(call, request, filtered(rows, request, {}), _order, lambda each: each)
        return {"Events": shown, **more}


class _Source(NamedTuple):
    """What RDS says an event is about: its type, the noun of its ARN, its identifier."""

    type: str
    noun: str
    identifier: str


class _Wanted(NamedTuple):
    source: str
    type: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, request: Json, now: datetime) -> _Wanted:
        """Raises InvalidParameterCombination, InvalidParameterValue."""
        source, kind = request.get("SourceIdentifier") or "", request.get("SourceType") or ""
        if source and not kind:
            raise errors.invalid_combination("Cannot specify source identifier without source type")
        if request.get("Duration") is not None and request.get("StartTime"):
            raise errors.invalid_combination("Give either Duration or StartTime.")
        minutes = _DEFAULT_MINUTES if request.get("Duration") is None else request["Duration"]
        if not 1 <= minutes <= _MOST_MINUTES:
            raise errors.invalid_value(f"Duration must be between 1 and {_MOST_MINUTES} minutes.")
        end = request.get("EndTime") or now
        return cls(source.lower(), kind, request.get("StartTime") or _before(end, minutes), end)

    def takes(self, source: _Source, event: Event) -> bool:
        if self.type not in ("", source.type) or self.source not in ("", source.identifier):
            return False
        moment = _moment(event)
        return moment is not None and self.start <= moment <= self.end


def _before(end: datetime, minutes: int) -> datetime:
    try:
        return end - timedelta(minutes=minutes)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _sources(instances: Iterable[FoundInstance]) -> dict[tuple[str, str], _Source]:
    """The instances of this region, by kind and name: as Databases, and as the Services that are their servers."""
    found: dict[tuple[str, str], _Source] = {}
    for each in instances:
        source = _Source(_INSTANCE, "db", each.identifier)
        found[DATABASE.name, each.identifier] = source
        found |= {(SERVICE.name, member.name): source for member in each.database.status.members}
    return found


def _source_of(event: Event, sources: dict[tuple[str, str], _Source]) -> _Source | None:
    """None for an event of something that is nothing of RDS."""
    about = event.involved_object
    if about.kind == DATABASE_PARAMETER_GROUP.name:
        return _Source(_GROUP, "pg", about.name or "")
    return sources.get((about.kind or "", about.name or ""))


def _moment(event: Event) -> datetime | None:
    """None for one that says no time."""
    told = event.series.last_observed_time if event.series else None
    return told or event.last_timestamp or event.event_time or event.first_timestamp


def _event_view(call: RequestContext, source: _Source, event: Event) -> Json:
    return {
        "SourceIdentifier": source.identifier,
        "SourceType": source.type,
        "Message": f"{event.reason}: {event.message}",
        "EventCategories": ["failure" if event.type == "Warning" else "notification"],
        "Date": _moment(event),
        "SourceArn": rds_arn(call.region, call.account, source.noun, source.identifier),
    }


def _order(row: Json) -> str:
    return f"{rfc3339(row['Date'])} {row['SourceIdentifier']} {row['Message']}"
