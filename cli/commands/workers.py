"""The commands about machines: worker remove."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands.options import Yes
from cli.completion import complete_workers
from cli.output import say
from controller.main import settings

worker = typer.Typer(help="Machines that run services.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.add_typer(worker, name="worker")


@worker.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="The worker's name.", autocompletion=complete_workers)],
    yes: Yes = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until it is gone.")] = 120.0,
) -> None:
    """Drain a worker, remove it from the Swarm, and delete it. Safe to repeat, and to interrupt: it goes on."""
    from cli import api_client, confirmation
    from cli.resources import worker_remove

    if not yes:
        confirmation.confirm(f"Remove the worker {name}? What runs there moves to other machines.")
    with api_client.connect(settings.load()) as api:
        worker_remove.remove(api, name, timeout=timeout)
    say(f"worker {name} removed")
