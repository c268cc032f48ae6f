"""Rows in columns, as kubectl draws them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_GAP = "   "


def grid(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Left-aligned columns, three spaces apart, nothing after the last."""
    lines = [[_text(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    return "\n".join(_padded(line, widths) for line in lines)


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _text(cell: Any) -> str:
    """One line, whatever the value holds: a line break would break the table."""
    if cell is None:
        return "<none>"
    text = str(cell).lower() if isinstance(cell, bool) else str(cell)
    return " ".join(text.split()) if any(each in text for each in "\n\r\t") else text


class TableView:
    """A Table answer (meta.k8s.io/v1) as rows. `wide` shows the columns of lower priority too."""

    def __init__(self, definitions: Sequence[dict[str, Any]], *, wide: bool, namespaces: bool) -> None:
        self._shown = [i for i, each in enumerate(definitions) if wide or not each.get("priority")]
        names = [str(definitions[i]["name"]).upper() for i in self._shown]
        # Some kinds do not list their name as a column; a row without one would be of no use.
        self._adds_name = "NAME" not in names and all(each.get("format") != "name" for each in definitions)
        self._namespaces = namespaces
        self.header = self._with_place("NAMESPACE", "NAME", names)

    def row(self, row: dict[str, Any]) -> list[Any]:
        meta = (row.get("object") or {}).get("metadata") or {}
        cells = row.get("cells") or []
        shown = [cells[i] if i < len(cells) else None for i in self._shown]
        return self._with_place(meta.get("namespace", ""), meta.get("name", ""), shown)

    def draw(self, rows: Iterable[dict[str, Any]]) -> str:
        return grid(self.header, [self.row(each) for each in rows])

    def _with_place(self, namespace: Any, name: Any, cells: list[Any]) -> list[Any]:
        first = [namespace] if self._namespaces else []
        return [*first, *([name] if self._adds_name else []), *cells]
