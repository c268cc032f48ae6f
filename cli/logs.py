"""`aerekos logs`: what the instances of a service wrote, in the order of time."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cli import log_lines
from cli.connecting import Api
from cli.errors import CliError, Misuse
from cli.output import complain, has_colours, say, write
from cli.references import ServiceReference
from cli.urls import segment

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MOST_LINES = 100_000


@dataclass(frozen=True, slots=True)
class Choice:
    """Which lines. `since` in seconds; `previous`: what an instance wrote before it was started last."""

    tail: int = 200
    since: int | None = None
    timestamps: bool = False
    previous: bool = False
    follow: bool = False
    raw: bool = False


def read_duration(text: str) -> int:
    """Seconds in `90`, `30s`, `15m`, `2h`, `1d` or `1h30m`. Raises Misuse."""
    whole = re.fullmatch(r"(\d{1,9})|((?:\d{1,9}[smhd])+)", text)
    if whole is None:
        raise Misuse(f'--since: "{text}" is no duration', hint="e.g. --since 30s, 15m, 2h or 1h30m")
    parts = re.findall(r"(\d+)([smhd]?)", text)
    return sum(int(number) * _UNITS[unit or "s"] for number, unit in parts)


def show(api: Api, service: ServiceReference, choice: Choice) -> None:
    """Prints them. Raises Misuse, Refused, CliError."""
    if choice.previous:
        _show_previous(api, service, choice)
        return
    path, params = _path(service), _params(service, choice)
    if not choice.follow:
        text = api.send("GET", path, params=params).text
        if not text:
            complain("no lines" if choice.since is not None else "no lines yet")
        _print(text.splitlines(), choice)
        return
    with api.stream(path, params={**params, "follow": "true"}) as answer:
        for line in answer.iter_lines():
            _print([line], choice)


def _path(service: ServiceReference) -> str:
    return f"/logs/{segment(service.namespace)}/{segment(service.name)}"


def _params(service: ServiceReference, choice: Choice) -> dict[str, str]:
    asked = {"tail": str(choice.tail), "timestamps": "true" if choice.timestamps else ""}
    if choice.since is not None:
        asked["sinceSeconds"] = str(choice.since)
    return {key: value for key, value in {**asked, "instance": service.instance or ""}.items() if value}


def _show_previous(api: Api, service: ServiceReference, choice: Choice) -> None:
    """An instance goes on in the log of the one before it: what is older than its start was the other's."""
    if choice.follow:
        raise Misuse("what is over has nothing to follow", hint="leave out -f or -p")
    found = _instance(api, service)
    started = datetime.fromisoformat(str(found.get("startedAt") or datetime.now(UTC).isoformat()))
    named = ServiceReference(service.namespace, service.name, str(found["name"]))
    params = _params(named, Choice(_MOST_LINES, choice.since, choice.timestamps))
    lines = api.send("GET", _path(named), params=params).text.splitlines()
    kept = [line for line in lines if log_lines.before(line, started)]
    if not kept:
        raise CliError(f"{found['name']} was never started before", hint=f"aerekos logs {named.name}")
    _print(kept[-choice.tail :] if choice.tail else [], choice)


def _instance(api: Api, service: ServiceReference) -> dict[str, Any]:
    instances = api.get(service.path).get("status", {}).get("instances") or []
    chosen = [each for each in instances if service.instance in (None, each.get("name"))]
    if len(chosen) != 1:
        names = ", ".join(str(each.get("name")) for each in instances) or "none"
        raise Misuse(f"-p is about one instance; {service.name} has {names}", hint="aerekos logs INSTANCE -p")
    return dict(chosen[0])


def _print(lines: list[str], choice: Choice) -> None:
    as_written = choice.raw or not sys.stdout.isatty()
    for line in lines:
        if as_written:
            say(line)
        else:
            write(log_lines.pretty(line, colour=has_colours(sys.stdout)))
