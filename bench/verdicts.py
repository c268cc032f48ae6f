"""What was measured against what we want, and the table that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEADINGS = ("", "ours", "against", "ratio", "target", "verdict")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table. `value` is compared with `target`: `at_least` it, or at most. None: only to know.

    `ours` and `against` are the plain numbers behind a ratio, with their units.
    """

    what: str
    value: float
    target: float | None
    at_least: bool
    ours: str
    against: str = ""
    unit: str = ""

    @property
    def met(self) -> bool:
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target

    @property
    def cells(self) -> tuple[str, ...]:
        shown = f"{self.value:.2f}" if self.against else ""
        if self.target is None:
            return (self.what, self.ours, self.against, shown, "", "")
        target = f"{'≥' if self.at_least else '≤'} {self.target:g}{self.unit}"
        return (self.what, self.ours, self.against, shown, target, "met" if self.met else "MISSED")


def ratio(what: str, ours: float, against: float, target: float | None = None, *, unit: str = "/s") -> Verdict:
    """How much of `against` we reach."""
    return Verdict(what, ours / against, target, True, f"{ours:,.0f}{unit}", f"{against:,.0f}{unit}")


def limit(what: str, value: float, target: float, unit: str) -> Verdict:
    """Something that should stay small."""
    return Verdict(what, value, target, False, f"{value:.1f}{unit}", unit=unit)


def table(verdicts: Sequence[Verdict]) -> str:
    """Aligned columns, as Markdown, so that it can be put into a page as it is."""
    rows = [HEADINGS, *(each.cells for each in verdicts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([lines[0], rule, *lines[1:]])
