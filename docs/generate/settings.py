"""docs/reference/settings.md: the settings of a cloud, from their table, with the words of .env_example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

from controller.main.settings import FILE_KEYS, REMEMBERED, VARIABLES, Settings, variable
from docs.generate.markdown import code, codes, page, table

EXAMPLE = Path(__file__).parents[2] / ".env_example"
LEAD = f"""\
What a cloud is told at its start: `AEREKOS_*` variables, or the same names without AEREKOS_ and in lower
case in `$AEREKOS_HOME/settings.toml`; variables win, and flags of `aerekos up` win over both. What a start is told of
{codes(REMEMBERED)} is kept in the file ([../networking.md](../networking.md)).
Options of the agent are in [cli.md](cli.md#aerekos-agent)."""
_VARIABLE = re.compile(r"(AEREKOS_[A-Z0-9_]+)=(.*)")


class Undescribed(Exception):
    """.env_example and the table of settings disagree."""


def settings_page() -> str:
    """Raises Undescribed when .env_example lacks a setting, or has one that is none."""
    described = dict(_example())
    expected = {"AEREKOS_HOME", *map(variable, VARIABLES)}
    if odd := sorted(expected ^ described.keys()):
        raise Undescribed(f"{EXAMPLE.name} and controller/main/settings.py differ in {', '.join(odd)}")
    rows = [_row(name, *described[name]) for name in described]
    columns = ["Variable", "In settings.toml", "Default", "Meaning"]
    return page("Settings", LEAD, [table(columns, rows), _file_alone()])


def _row(name: str, default: str, meaning: str) -> tuple[str, str, str, str]:
    key = name.removeprefix("AEREKOS_").lower()
    return code(name), code(key) if key in FILE_KEYS else "", code(_checked(key, default)), meaning


def _checked(key: str, written: str) -> str:
    """The default as .env_example has it, which must be the program's."""
    own = {each.name: each.default for each in fields(Settings)}.get(key, MISSING)
    if own is MISSING:  # the home: a place on each machine
        return written
    text = "" if own in (None, ()) else f"{own:g}" if isinstance(own, float) else str(own)
    if text != written:
        raise Undescribed(f"{EXAMPLE.name}: the default of {variable(key)} is {text!r}, not {written!r}")
    return written


def _example() -> Iterator[tuple[str, tuple[str, str]]]:
    """Each variable with its default and the comment above it. Raises Undescribed for one without a comment."""
    comment: list[str] = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        variable_ = _VARIABLE.fullmatch(text)
        if variable_ is None:
            comment = [*comment, text] if text else []
            continue
        if not comment:
            raise Undescribed(f"{EXAMPLE.name}: {variable_[1]} has no comment of its own")
        yield variable_[1], (variable_[2], " ".join(comment))
        comment = []


def _file_alone() -> str:
    alone = sorted(FILE_KEYS - {each.lower() for each in VARIABLES})
    return (
        f"In the file alone: {codes(alone)}, a list of tables, e.g. `[[users]]` with `name` and `roles`."
        if alone
        else ""
    )
