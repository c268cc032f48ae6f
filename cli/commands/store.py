"""The command that moves a cloud's records to another database."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands.options import Home
from cli.output import say
from controller.main import settings

store = typer.Typer(help="Where this machine's cloud keeps its records.", no_args_is_help=True)
To = Annotated[
    str,
    typer.Option("--to", help="URL of an empty database of PostgreSQL; or file, for one in the home."),
]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.add_typer(store, name="store")


@store.command("migrate")
def migrate(to: To, home: Home = None) -> None:
    """Move all records, with their history, into another database, and compare them there. The cloud must be down."""
    from cli.lifecycle.migrate import move

    say(move(settings.load(home=home), to))
