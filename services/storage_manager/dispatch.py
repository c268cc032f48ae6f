"""From a request to the operation of S3's model: by method, whether there is a bucket and a key, and what marks it.

Marks are query members that choose an operation (`?acl`, `?uploads`, `?uploadId=`, `?list-type=2`) and the source of
a copy. The table is made of the model, so that each operation of it is known: what is not built is refused by name,
and never taken for a plain read or write of the same address. This is lighter than the kit's router, which reads and
ranks the whole query: a plain GET, PUT or HEAD of an object costs one look-up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from services.sdk.aws.model import ServiceModel, load_model
from services.sdk.aws.protocols.routing import Template, template_of
from services.storage_manager.errors import S3Error

COPY = "x-amz-copy-source"
_SERVICE, _BUCKET, _OBJECT = 0, 1, 2
_LEVELS = {(): _SERVICE, ("{Bucket}",): _BUCKET, ("{Bucket}", "{Key+}"): _OBJECT}
# Their path is that of another one. `partNumber` marks a read of one part as well as an upload of it.
_ELSEWHERE, _NO_MARKS = frozenset({"ListDirectoryBuckets"}), frozenset({"partNumber"})
_Address = tuple[str, int, frozenset[str]]


class Dispatch:
    """The table."""

    def __init__(self, model: ServiceModel) -> None:
        self._table: dict[_Address, str] = {}
        self._marks: set[str] = set()
        self._valued: dict[str, str] = {}
        for name, described in model.operations.items():
            template = template_of(model, name)
            level = _LEVELS.get(template.segments)
            if level is None or described.get("deprecated") or name in _ELSEWHERE:
                continue
            self._table[str(described["http"]["method"]), level, self._marks_of(template)] = name
        self._plain = {(method, level): name for (method, level, marks), name in self._table.items() if not marks}

    def _marks_of(self, template: Template) -> frozenset[str]:
        chosen = (set(template.constants) | set(template.needed_query)) - _NO_MARKS
        self._valued |= {name: value for name, value in template.constants.items() if value is not None}
        self._marks |= chosen
        return frozenset(chosen | ({COPY} if COPY in template.needed_headers else set()))

    def choose(self, method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
        """The operation's name. Raises S3Error InvalidArgument, NotImplemented, MethodNotAllowed."""
        level = _OBJECT if key else _BUCKET if bucket else _SERVICE
        if not query and COPY not in headers:
            found = self._plain.get((method, level))
        else:
            found = self._table.get((method, level, self._marks_in(query, headers)))
        if found is None:
            said = "".join(f" ?{name}" for name in query if name in self._marks)
            raise S3Error("MethodNotAllowed" if not said else "NotImplemented", f"S3 has no {method}{said} here")
        return found

    def _marks_in(self, query: Mapping[str, str], headers: Mapping[str, str]) -> frozenset[str]:
        marks = {name for name in query if name in self._marks}
        for name, value in self._valued.items():
            if name in marks and query[name] != value:
                raise S3Error("InvalidArgument", f"{name} is {value}")
        if COPY in headers:
            marks.add(COPY)
        return frozenset(marks)

    def marks_of(self, operation: str) -> frozenset[str]:
        """Query members that choose that operation."""
        return next((marks for (_, _, marks), name in self._table.items() if name == operation), frozenset())


@cache
def dispatch() -> Dispatch:
    """The table of S3's model."""
    return Dispatch(load_model("s3"))
