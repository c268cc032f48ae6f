"""Resources as rows, for `kubectl get` and everything else that asks for a Table (meta.k8s.io/v1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from controller.resources.selectors import field_at
from crds.kind import Column, Kind
from crds.quantity import format_bytes, parse_quantity


def table(
    kind: Kind[Any], objects: list[dict[str, Any]], meta: dict[str, Any], *, now: datetime, include: str = ""
) -> dict[str, Any]:
    """Every object as one row. What goes along with it: `Metadata` (so that clients find namespace and uid), the
    whole `Object` (for clients that sort by any field), or `None`.
    """
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": [definition(column) for column in kind.columns],
        "rows": [row(kind, each, now=now, include=include) for each in objects],
    }


def definition(column: Column) -> dict[str, Any]:
    """The column as TableColumnDefinition. Ages and amounts are made readable here, so they are sent as text."""
    return {
        "name": column.name,
        "type": "string" if column.type in ("date", "bytes") else column.type,
        "format": "name" if column.path == "metadata.name" else "",
        "description": column.description,
        "priority": column.priority,
    }


def row(kind: Kind[Any], resource: dict[str, Any], *, now: datetime, include: str = "") -> dict[str, Any]:
    """One object as TableRow."""
    shown = given_cell if kind.defined else cell
    cells = [shown(column, resource, now=now) for column in kind.columns]
    if include == "None":
        return {"cells": cells}
    return {"cells": cells, "object": resource if include == "Object" else partial(resource)}


def partial(resource: dict[str, Any]) -> dict[str, Any]:
    """The metadata alone (PartialObjectMetadata)."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": resource["metadata"]}


def cell(column: Column, resource: dict[str, Any], *, now: datetime) -> Any:
    """The value to show; absent values are `<none>` for text and 0 for numbers, collections their size."""
    value = column.read(resource) if column.read else field_at(resource, column.path)
    if column.type == "date":
        return age(value, now) if isinstance(value, str) else "<unknown>"
    if column.type == "integer" and isinstance(value, dict | list):
        return len(value)
    if column.type == "bytes" and value is not None:
        return format_bytes(int(parse_quantity(str(value))))
    if value is None:
        return 0 if column.type in ("integer", "number") else "<none>"
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    if column.type == "string" and not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


def given_cell(column: Column, resource: dict[str, Any], *, now: datetime) -> Any:
    """The value of a column that somebody defined, whatever the resource holds there: null where there is none of the
    column's type. Source: the table convertor of Kubernetes custom resources.
    """
    value = column.read(resource) if column.read else field_at(resource, column.path)
    match column.type:
        case "date":
            return _given_age(value, now)
        case "string":
            return _text(value)
        case "boolean":
            return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if column.type == "integer" else value


def _text(value: Any) -> str | None:
    """Text as it is, everything else as JSON."""
    return (
        value
        if value is None or isinstance(value, str)
        else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    )


def _given_age(value: Any, now: datetime) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return age(value, now) if datetime.fromisoformat(value).tzinfo is not None else "<invalid>"
    except (ValueError, OverflowError):
        return "<invalid>"


def age(since: str, now: datetime) -> str:
    """`45s`, `3m`, `5h`, `12d`: how long ago, as kubectl writes it."""
    seconds = max(int((now - datetime.fromisoformat(since)).total_seconds()), 0)
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 600:
        return f"{seconds // 60}m{seconds % 60}s" if seconds % 60 else f"{seconds // 60}m"
    if seconds < 3 * 3600:
        return f"{seconds // 60}m"
    if seconds < 48 * 3600:
        return f"{seconds // 3600}h"
    return f"{seconds // 86400}d"
