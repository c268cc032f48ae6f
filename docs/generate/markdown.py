"""The little Markdown that pages are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_PAGE = re.compile(r"\bdocs/([a-z-]+)\.md")
NOTE = "<!-- Made by `make reference`; changes by hand are lost. -->"


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """A whole page, ending with one line break."""
    parts = [f"# {title}", NOTE, lead, *sections]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Empty when there are no rows. Columns in which every row is empty are left out."""
    body = [list(map(cell, row)) for row in rows]
    kept = [index for index in range(len(head)) if any(row[index] for row in body)]
    lines = [[head[index] for index in kept], ["---"] * len(kept), *([row[index] for index in kept] for row in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if body else ""


def cell(text: str) -> str:
    """Text that stays within its cell of a table."""
    return paragraph(text).replace("|", "\\|")


def code(text: object) -> str:
    """In the typeface of code; nothing stays nothing."""
    return f"`{text}`" if str(text) else ""


def quoted(text: object) -> str:
    """The same for a value, which may be the empty text."""
    return code(text) or code('""')


def codes(texts: Iterable[object]) -> str:
    """Several of them, by commas."""
    return ", ".join(code(each) for each in texts)


def paragraph(text: str) -> str:
    """A docstring as one paragraph, in which nothing but code is taken for HTML, and pages are linked."""
    parts = " ".join(text.split()).split("`")
    return "`".join(part if index % 2 else _prose(part) for index, part in enumerate(parts))


def _prose(text: str) -> str:
    return _PAGE.sub(r"[\1.md](../\1.md)", text.replace("<", "\\<"))
