"""`aerekos engine list`: which engines this version knows, and what of each is on this machine."""

from __future__ import annotations

from typing import Any

from cli.tables import grid
from controller.runtime.engines.finder import EngineFinder
from crds.engines import ENGINES


def found(finder: EngineFinder) -> list[dict[str, Any]]:
    """Each engine with every version of it, newest first, as JSON has it."""
    return [
        {
            "name": engine.name,
            "title": engine.title,
            "installed": [{"version": each.version, "program": each.program} for each in finder.all(engine)],
            "install": f"aerekos engine install {engine.name}",
        }
        for engine in ENGINES.values()
    ]


def render(engines: list[dict[str, Any]]) -> str:
    """A table: a line for each version, or for what is to be done where there is none."""
    rows = []
    for each in engines:
        here = [(each["name"], one["version"], one["program"]) for one in each["installed"]]
        rows += here or [(each["name"], "missing", each["install"])]
    return grid(("ENGINE", "VERSION", "PROGRAM"), rows)
