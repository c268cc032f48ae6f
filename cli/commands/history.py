"""The commands about what a resource was before: history and undo."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands.options import Namespace, Resources
from cli.output import say
from controller.main import settings


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    for command in (history, undo):
        app.command()(command)


def history(
    resources: Resources,
    namespace: Namespace = None,
    output: Annotated[str, typer.Option("-o", "--output", help="table, json or yaml.")] = "table",
    status: Annotated[bool, typer.Option("--status", help="Also where its status alone changed.")] = False,
) -> None:
    """Every version of a resource that is kept, also of one that was deleted: when, by whom, what changed."""
    from cli import api_client
    from cli.resources import history

    with api_client.connect(settings.load()) as api:
        named = history.subjects(api, resources, namespace, "aerekos history service/NAME")
        say("\n\n".join(history.shown(api, each, output, status=status) for each in named))


def undo(
    resources: Resources,
    namespace: Namespace = None,
    to: Annotated[int, typer.Option("--to", min=0, help="A revision; 0: before the last change.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Let the cloud check it, change nothing.")] = False,
) -> None:
    """Take back the last change of a resource, or its deletion; not of what it stands for, as objects of a bucket."""
    from cli import api_client
    from cli.resources import history

    with api_client.connect(settings.load()) as api:
        for each in history.subjects(api, resources, namespace, "aerekos undo service/NAME"):
            say(history.undo(api, each, to, dry_run=dry_run))
