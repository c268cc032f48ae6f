"""What PostgreSQL's own settings are: of each major version, as a server of that version tells.

One file for each version below `settings/`, tab-separated, of this query on a cluster that was just made:

    SELECT name, context, vartype, unit, min_val, max_val, array_to_string(enumvals, ','), boot_val, short_desc
    FROM pg_settings WHERE context <> 'internal' AND name NOT LIKE '%.%' ORDER BY name COLLATE "C"
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "settings"
_COLUMNS = 9
_ENGINE = "postgres"
# pg_settings' own words for when a change counts.
_AT_START = "postmaster"


class Setting(NamedTuple):
    """One setting. `context`: who may change it, and when (`postmaster`: at a start alone). `kind`: `bool`,
    `integer`, `real`, `string` or `enum`. `unit`: what its number counts, `8kB`, `ms`; empty for none.
    """

    name: str
    context: str
    kind: str
    unit: str
    least: str
    most: str
    choices: tuple[str, ...]
    default: str
    description: str

    @property
    def at_start(self) -> bool:
        """Whether it counts only after a restart."""
        return self.context == _AT_START


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """`postgres15`, ...: the oldest first."""
    found = (each.stem for each in FOLDER.glob(f"{_ENGINE}*.tsv"))
    return tuple(sorted(found, key=lambda name: int(major_of(name))))


def family_of(version: str) -> str:
    """The family of a server's version: `postgres15` of `15.18`; empty for none."""
    major = version.partition(".")[0]
    return f"{_ENGINE}{major}" if major.isdigit() else ""


def major_of(family: str) -> str:
    """`15` of `postgres15`."""
    return family.removeprefix(_ENGINE)


@lru_cache(maxsize=8)
def settings_of(family: str) -> dict[str, Setting]:
    """By name. Raises KeyError for a family that is not here."""
    if family not in families():
        raise KeyError(family)
    lines = (FOLDER / f"{family}.tsv").read_text("utf-8").splitlines()
    found = (_setting(line) for line in lines)
    return {each.name: each for each in found}


def _setting(line: str) -> Setting:
    fields = [_unescaped(each) for each in line.split("\t")]
    if len(fields) != _COLUMNS:
        raise ValueError(f"a setting has {_COLUMNS} columns: {line[:80]}")
    name, context, kind, unit, least, most, choices, default, description = fields
    return Setting(
        name, context, kind, unit, least, most, tuple(filter(None, choices.split(","))), default, description
    )


def _unescaped(text: str) -> str:
    """As COPY writes text."""
    return "" if text == r"\N" else text.replace(r"\\", "\\")
