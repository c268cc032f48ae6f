"""Rows in columns, as kubectl draws them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_GAP = "   "


def grid(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Left-aligned columns, three spaces apart, nothing after the last."""
    lines = [[_text(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    return "\n".join(padded(line, widths) for line in lines)


def padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One line of a table, nothing after its last cell."""
    return _GAP.join(_text(cell).ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _text(cell: Any) -> str:
    """One line, whatever the value holds: a line break would break the table."""
    if cell is None:
        return "<none>"
    text = str(cell).lower() if isinstance(cell, bool) else str(cell)
    return " ".join(text.split()) if any(each in text for each in "\n\r\t") else text


class TableView:
    """A Table answer (meta.k8s.io/v1) as rows. `wide` shows the columns of lower priority too,
    `labels` those of each row's resource in a last column."""

    def __init__(
        self, definitions: Sequence[dict[str, Any]], *, wide: bool, namespaces: bool, labels: bool = False
    ) -> None:
        self._shown = [i for i, each in enumerate(definitions) if wide or not each.get("priority")]
        names = [str(definitions[i]["name"]).upper() for i in self._shown]
        # Some kinds do not list their name as a column; a row without one would be of no use.
        self._adds_name = "NAME" not in names and all(each.get("format") != "name" for each in definitions)
        self._namespaces, self._labels = namespaces, labels
        self.header = self._with_place("NAMESPACE", "NAME", [*names, *(["LABELS"] if labels else [])])

    def row(self, row: dict[str, Any]) -> list[Any]:
        meta = (row.get("object") or {}).get("metadata") or {}
        cells = row.get("cells") or []
        shown = [cells[i] if i < len(cells) else None for i in self._shown]
        labels = [_pairs(meta.get("labels") or {})] if self._labels else []
        return self._with_place(meta.get("namespace", ""), meta.get("name", ""), [*shown, *labels])

    def draw(self, rows: Iterable[dict[str, Any]], *, headers: bool = True) -> str:
        text = grid(self.header, [self.row(each) for each in rows])
        return text if headers else text.partition("\n")[2]

    def _with_place(self, namespace: Any, name: Any, cells: list[Any]) -> list[Any]:
        first = [namespace] if self._namespaces else []
        return [*first, *([name] if self._adds_name else []), *cells]


def _pairs(labels: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"
