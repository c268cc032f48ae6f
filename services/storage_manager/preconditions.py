"""Preconditions of requests: `If-...` of reads (RFC 9110, section 13.2.2), of writes and of deletes.

What a write or a delete insists on is checked in the transaction that makes it: nothing changes in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from crds.numbers import whole_number
from services.storage_manager.errors import S3Error
from services.storage_manager.metadata import Object
from services.storage_manager.metadata.objects import Check

_TIME, _SIZE = "x-amz-if-match-last-modified-time", "x-amz-if-match-size"


def write_check(headers: Mapping[str, str]) -> Check:
    """What `If-Match` and `If-None-Match` want of the object that is replaced."""
    wanted, unwanted = headers.get("if-match"), headers.get("if-none-match")

    def check(old: Object | None) -> None:
        if wanted is not None and old is None:
            raise S3Error("NoSuchKey", "The specified key does not exist.")
        if wanted is not None and old is not None and not _names(wanted, old.etag):
            raise _failed("If-Match")
        if unwanted is not None and old is not None and _names(unwanted, old.etag):
            raise _failed("If-None-Match")

    return check


@dataclass(frozen=True, slots=True)
class DeleteCondition:
    """What a delete insists on, if there is something to delete: an ETag, a moment, a size."""

    etag: str | None = None
    modified: float | None = None
    size: int | None = None

    def __call__(self, old: Object | None) -> None:
        """Raises S3Error PreconditionFailed."""
        if old is None:
            return
        if self.etag is not None and not _names(self.etag, old.etag):
            raise _failed("If-Match")
        if self.modified is not None and int(old.modified) != int(self.modified):
            raise _failed(_TIME)
        if self.size is not None and old.size != self.size:
            raise _failed(_SIZE)


def delete_condition(headers: Mapping[str, str]) -> DeleteCondition:
    """Raises S3Error InvalidArgument."""
    moment, size = headers.get(_TIME), headers.get(_SIZE)
    if size is not None and whole_number(size) is None:
        raise S3Error("InvalidArgument", f"{_SIZE} is a number")
    modified = None if moment is None else _moment(moment, None)
    if moment is not None and modified is None:
        raise S3Error("InvalidArgument", f"{_TIME} is a moment as HTTP writes it")
    return DeleteCondition(headers.get("if-match"), modified, whole_number(size) if size is not None else None)


def not_modified(found: Object, headers: Mapping[str, str]) -> bool:
    """Whether a read has it already. Raises PreconditionFailed."""
    second = int(found.modified)
    if (wanted := headers.get("if-match")) is not None:
        if not _names(wanted, found.etag):
            raise _failed("If-Match")
    elif second > (_moment(headers.get("if-unmodified-since"), second) or 0):
        raise _failed("If-Unmodified-Since")
    if (unwanted := headers.get("if-none-match")) is not None:
        return _names(unwanted, found.etag)
    return second <= (_moment(headers.get("if-modified-since"), second - 1) or 0)


def _failed(condition: str) -> S3Error:
    text = "At least one of the pre-conditions you specified did not hold"
    return S3Error("PreconditionFailed", text, {"Condition": condition})


def _names(tags: str, etag: str) -> bool:
    """Whether that list of entity tags holds the ETag."""
    return "*" in tags or etag in {each.strip().removeprefix("W/").strip('"') for each in tags.split(",")}


def _moment(text: str | None, default: float | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else default
    except ValueError:
        return default


def whole_second(moment: float) -> datetime:
    """A listing says no more than the header `Last-Modified`."""
    return datetime.fromtimestamp(int(moment), UTC)
