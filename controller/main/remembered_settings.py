"""What a cloud was told about where it is reached is written into its `settings.toml`, so that the next start is the
same without being told again.

Lines a person wrote stay as they are, comments too. Whatever the edit makes of the file is read again before it is
written: it says what was meant, or nothing is changed.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from controller.kit.files import write_whole
from controller.main.errors import UserError
from controller.main.settings import FILE_VERSION, REMEMBERED, Settings, as_told

_HEADER = """\
# What this cloud was told. `aerekos up` writes here what it is told by a flag or an AEREKOS_* variable; without one,
# what stands here counts (docs/networking.md).
"""


def remembered(settings: Settings) -> dict[str, Any]:
    """What is to be written, as TOML has it."""
    told = as_told(settings)
    return {"version": FILE_VERSION, **{key: told[key] for key in REMEMBERED}}


def remember(settings: Settings) -> list[str]:
    """The keys whose lines are new or changed. Raises UserError when the file cannot be changed, and why."""
    try:
        text = settings.file.read_text(encoding="utf-8") if settings.file.exists() else _HEADER
        known = tomllib.loads(text)
        wanted = {key: value for key, value in remembered(settings).items() if known.get(key) != value}
        if wanted:
            mode = settings.file.stat().st_mode & 0o777 if settings.file.exists() else 0o600
            write_whole(settings.file, edited(text, wanted).encode(), mode=mode)
    except (OSError, ValueError) as odd:
        lines = "\n".join(f"    {key} = {_toml(value)}" for key, value in remembered(settings).items())
        hint = f"write these lines at its top:\n{lines}"
        raise UserError(f"{settings.file} cannot be changed: {odd}", hint=hint) from odd
    return list(wanted)


def edited(text: str, values: Mapping[str, Any]) -> str:
    """That TOML text with top-level `values` set. Raises ValueError when lines of somebody else would be harmed."""
    lines = [f"{each}\n" for each in text.split("\n")]
    if lines[-1] == "\n":
        lines.pop()
    # Of what stands below the first table, top-level keys are no part.
    end = next((at for at, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    for key, value in values.items():
        line = f"{key} = {_toml(value)}\n"
        there = next((at for at in range(end) if lines[at].partition("=")[0].strip() == key), None)
        if there is None:
            lines.insert(end, line)
            end += 1
        else:
            lines[there] = line
    whole = "".join(lines)
    if _read(whole) != {**tomllib.loads(text), **values}:
        raise ValueError(f"{', '.join(values)} cannot be set without harm to the other lines")
    return whole


def _read(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _toml(value: Any) -> str:
    """Numbers, texts and lists of texts are written in TOML as in JSON."""
    return json.dumps(value, ensure_ascii=False)
