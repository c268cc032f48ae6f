"""Defaults that a program takes from its machine, in words that hold on every machine."""

from __future__ import annotations

from pathlib import Path

from agent.collect import default_name


def on_any_machine(default: str) -> str:
    """The home as `~`, and the machine's own name as what it is."""
    if default == default_name():
        return "the machine's name"
    path = Path(default)
    inside = path.is_absolute() and path.is_relative_to(Path.home())
    return f"~/{path.relative_to(Path.home())}" if inside else default
