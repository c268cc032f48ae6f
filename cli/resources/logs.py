"""`aerekos logs`: what the instances of a service wrote, in the order of time."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from cli.api_client import ApiClient
from cli.output import complain, has_colours, say, write
from cli.resources import log_lines
from cli.resources.references import ServiceReference
from cli.urls import segment


@dataclass(frozen=True, slots=True)
class Choice:
    """Which lines to show. `since` in seconds; `previous`: what an instance wrote before it was started last."""

    tail: int = 200
    since: int | None = None
    timestamps: bool = False
    previous: bool = False
    follow: bool = False
    raw: bool = False


def show(api: ApiClient, service: ServiceReference, choice: Choice) -> None:
    """Prints them. Raises Misuse, Refused, UserError."""
    path, params = _path(service), _params(service, choice)
    if not choice.follow:
        text = api.send("GET", path, params=params).text
        if not text:
            complain("no lines" if choice.since is not None else "no lines yet")
        _print(text.splitlines(), choice)
        return
    with api.stream(path, params=params) as answer:
        for line in answer.iter_lines():
            _print([line], choice)


def _path(service: ServiceReference) -> str:
    return f"/logs/{segment(service.namespace)}/{segment(service.name)}"


def _params(service: ServiceReference, choice: Choice) -> dict[str, str]:
    flags = {"timestamps": choice.timestamps, "previous": choice.previous, "follow": choice.follow}
    asked = {"tail": str(choice.tail), **{name: "true" for name, wanted in flags.items() if wanted}}
    if choice.since is not None:
        asked["sinceSeconds"] = str(choice.since)
    return {key: value for key, value in {**asked, "instance": service.instance or ""}.items() if value}


def _print(lines: list[str], choice: Choice) -> None:
    as_written = choice.raw or not sys.stdout.isatty()
    for line in lines:
        if as_written:
            say(line)
        else:
            write(log_lines.pretty(line, colour=has_colours(sys.stdout)))
