"""The commands about engines of this machine: engine list, engine install, engine trash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from cli.commands.options import Home
from cli.output import as_json, as_yaml, say
from controller.main import settings

engine = typer.Typer(help="Databases and the like that Services run by name (spec.engine).", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.add_typer(engine, name="engine")


Output = Annotated[str, typer.Option("-o", "--output", help="table, json or yaml.")]


@engine.command("list")
def list_(output: Output = "table") -> None:
    """Which engines there are, and what of each is on this machine."""
    from cli.engines import listing
    from controller.runtime.engines.finder import EngineFinder

    _say(listing.found(EngineFinder.of_path(settings.load().engine_path)), output, listing.render)


@engine.command("trash")
def trash(home: Home = None, output: Output = "table") -> None:
    """The data of engines deleted in the last week: where it lies, and how it comes back."""
    from cli.engines import trash

    _say(trash.found(settings.load(home=home).home), output, trash.render)


def _say(found: list[dict[str, Any]], output: str, render: Callable[[list[dict[str, Any]]], str]) -> None:
    from controller.main.errors import Misuse

    forms = {"table": render, "json": as_json, "yaml": as_yaml}
    if output not in forms:
        raise Misuse(f'-o: "{output}" is not known', hint="one of table, json, yaml")
    say(forms[output](found))


@engine.command("install")
def install(
    name: Annotated[str, typer.Argument(help="See: aerekos engine list.")],
    version: Annotated[str, typer.Option("--version", help="Its beginning is enough, e.g. 15.")] = "",
) -> None:
    """Install an engine on this machine, from its distribution's packages; nothing of it is started. Needs root."""
    from cli.engines import install
    from controller.runtime.engines.finder import EngineFinder

    install.install(install.engine_of(name), version, EngineFinder.of_path(settings.load().engine_path))
