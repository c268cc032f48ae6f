"""A cloud that runs, and is told something else: started anew with agreement, or left alone with the lines to do it.
What one is told is never ignored.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cli.confirmation import confirm, is_somebody_there
from cli.lifecycle import down
from cli.output import say
from controller.main import running_conductor
from controller.main.errors import UserError
from controller.main.ports import require_free_port
from controller.main.running_conductor import Running
from controller.main.settings import REMEMBERED, Settings, as_told, variable

_STOPPING_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting: what the cloud runs with, and what it is told now."""

    key: str
    runs_with: Any
    told: Any

    def __str__(self) -> str:
        return f"{_shown(self.runs_with)} as {self.key}, not {_shown(self.told)}"


def differences(found: Running, settings: Settings) -> list[Difference]:
    """Settings that this command, or a line of settings.toml about where the cloud is reached, wants otherwise."""
    asked = as_told(settings)
    keys = [each for each in asked if each in REMEMBERED or each in settings.told]
    runs_with: Mapping[str, Any] = found.told or {"port": found.port}
    known = [Difference(key, runs_with[key], asked[key]) for key in keys if key in runs_with]
    return [each for each in known if each.runs_with != each.told]


def restart(settings: Settings, found: Running, changed: list[Difference], *, timeout: float, agreed: bool) -> None:
    """Stops it and starts it as it was told now. When that fails it runs again as before, and UserError says why."""
    from cli.lifecycle import up

    require_free_port(settings, besides=found.port)
    text = f"the cloud runs with {'; with '.join(map(str, changed))}"
    if not agreed:
        hint = f"restart it so: {_line(settings, changed)}   or leave it: aerekos up without that"
        if not is_somebody_there():
            raise UserError(text, hint=hint)
        confirm(f"{text}\nRestart it? Its services are away for some seconds.", hint=hint)
    down.down(settings, timeout=_STOPPING_SECONDS)
    try:
        up.begin(settings, timeout)
    except UserError as failed:
        if running_conductor.running(settings) is not None:  # it is only slow
            raise
        up.begin(_as_before(settings, found, changed), timeout)
        raise UserError(f"{failed.message}\nIt runs again as before.", hint=failed.hint, code=failed.code) from failed
    say(f"restarted: {', '.join(f'{each.key} is {_shown(each.told)}' for each in changed)}")


def _as_before(settings: Settings, found: Running, changed: list[Difference]) -> Settings:
    """Of what is another process told: the others stand in the environment, and did no harm before."""
    kept: dict[str, Any] = {each.key: each.runs_with for each in changed if each.key in REMEMBERED}
    if "names" in kept:
        kept["names"] = tuple(kept["names"])
    return replace(settings, **kept)


def _line(settings: Settings, changed: list[Difference]) -> str:
    told = " ".join(f"{variable(each.key)}={shlex.quote(_shown(each.told))}" for each in changed)
    return f"{told} aerekos up --home {shlex.quote(str(settings.home))} --restart"


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
