"""The commands that back this machine's cloud up and bring it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.commands.options import Home
from cli.output import say
from controller.main import settings

backup = typer.Typer(
    help="Backups of this machine's cloud: the store, its keys, and the data of services.", no_args_is_help=True
)

To = Annotated[str, typer.Option("--to", help="A folder, or s3://bucket/prefix.")]
From = Annotated[str, typer.Option("--from", help="A folder, or s3://bucket/prefix.")]
PassphraseFile = Annotated[
    Path, typer.Option("--passphrase-file", help="File whose first line is the escrow passphrase.")
]
Cloud = Annotated[
    str,
    typer.Option("--cloud", help="Whose backups, where several clouds share a place; `aerekos backup list`."),
]
Output = Annotated[str, typer.Option("-o", "--output", help="table, json or yaml.")]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.add_typer(backup, name="backup")
    app.command()(restore)


@backup.command("create")
def create(to: To, passphrase_file: PassphraseFile, home: Home = None) -> None:
    """Back the cloud up, while it runs or while it is down. What is stored there already is not stored again."""
    from cli.lifecycle import backup

    say(backup.create(settings.load(home=home), to, passphrase_file))


@backup.command("list")
def list_(from_: From, output: Output = "table") -> None:
    """Show the backups of a place, as they say themselves; restoring one proves it."""
    from cli.lifecycle import backup

    say(backup.listed(from_, output))


@backup.command("check")
def check(from_: From, passphrase_file: PassphraseFile, cloud: Cloud = "", home: Home = None) -> None:
    """Restore the newest backup into a folder of its own, look at all of it, and take it away again."""
    from cli.lifecycle import backup

    say(backup.check(settings.load(home=home), from_, passphrase_file, cloud))


@backup.command("delete")
def delete(
    from_: From,
    passphrase_file: PassphraseFile,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `aerekos backup list` shows them.")],
) -> None:
    """Take backups away. What no other one needs goes a day later, with the next that is taken away."""
    from cli.lifecycle import backup

    say(backup.delete(from_, passphrase_file, ids))


def restore(
    from_: From,
    passphrase_file: PassphraseFile,
    as_of: Annotated[
        str, typer.Option("--as-of", help="As it was then: a time, how long ago (15m, 2h, 3d), or a revision.")
    ] = "",
    backup: Annotated[
        str, typer.Option("--backup", help="Its id in `aerekos backup list`; the newest if not given.")
    ] = "",
    cloud: Cloud = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try all of it, keep nothing.")] = False,
    namespace: Annotated[
        str, typer.Option("-n", "--namespace", help="This one alone, into the cloud that runs in the home.")
    ] = "",
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="KIND/NAME", help="Of the namespace these alone.")
    ] = None,
    home: Home = None,
) -> None:
    """Bring a cloud back from a backup, into a home that is empty or not there. Start it then: aerekos up

    With --namespace, its resources are put back in the cloud that runs, and nothing else is touched.
    """
    from cli.lifecycle import restore

    which = restore.Which(as_of, backup, cloud)
    if namespace or only:
        from cli.lifecycle.restore_part import Part, restore_part

        part = Part(namespace or "default", tuple(only or ()))
        found = settings.load(home=home)
        say(restore_part(found, from_, passphrase_file, which, part, dry_run=dry_run))
        return
    say(restore.restore(settings.load(home=home), from_, passphrase_file, which, dry_run=dry_run))
