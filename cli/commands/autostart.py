"""`aerekos service`: the cloud as a service of this machine, started with it and watched."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from cli.commands.options import Home
from cli.output import say
from controller.main import settings

service = typer.Typer(help="Start the cloud with this machine, and again when it dies.", no_args_is_help=True)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the unit, and change nothing.")]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.add_typer(service, name="service")


@service.command()
def install(dry_run: DryRun = False, home: Home = None) -> None:
    """Start the cloud with this machine: a systemd unit of yours, or of the machine when you are root."""
    from controller.main import autostart, running_conductor

    wanted = settings.load(home=home)
    if dry_run:
        unit = autostart.unit_of(wanted.home)
        say(f"# {unit.file}")
        say(unit.text(sys.executable, os.environ.get("PATH", os.defpath)))
        return
    unit = autostart.install(wanted.home)
    say(f"installed: {unit.file}")
    say("the cloud starts with this machine, and again when it dies or hangs; what `aerekos down` ends stays down")
    if running_conductor.running(wanted):
        say("the one that runs is watched from its next start on: aerekos down && aerekos up")


@service.command()
def remove(home: Home = None) -> None:
    """Start the cloud by hand again. One that runs goes on running."""
    from controller.main import autostart

    gone = autostart.remove(settings.load(home=home).home)
    say(f"removed: {gone.file}" if gone else "no unit is installed for this cloud")


@service.command("status")
def status_(home: Home = None) -> None:
    """Whether the cloud starts with this machine. Exits with 1 when it does not."""
    from controller.main import autostart

    wanted = settings.load(home=home)
    if not autostart.is_installed(wanted.home):
        say("starts at boot: no (aerekos service install)")
        raise typer.Exit(1)
    say(f"starts at boot: yes ({autostart.unit_of(wanted.home).name})")
