"""The commands for authors: new service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import say

new = typer.Typer(help="Begin something of your own.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.add_typer(new, name="new")


@new.command("service")
def service(
    name: Annotated[str, typer.Argument(help="E.g. notes, for a folder notes_manager.")],
    kind: Annotated[
        str | None, typer.Option("--kind", help="Its kind of resource; without, the name in the singular: Note.")
    ] = None,
    parent: Annotated[
        Path | None, typer.Option("--in", help="The folder to put it into; without, services/ of this checkout.")
    ] = None,
) -> None:
    """Write a managed service that runs and passes its own tests: one folder, to begin with."""
    from cli.scaffold.service import names_of, next_steps, write_service

    names = names_of(name, kind)
    say(next_steps(names, write_service(names, parent)))
