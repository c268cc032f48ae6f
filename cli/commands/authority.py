"""The commands about the cloud's CA, and the options by which other commands know it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.commands.options import Yes
from cli.output import ask, say
from controller.main import settings

ca = typer.Typer(help="The cloud's own certificate authority, which vouches for its address.", no_args_is_help=True)

Server = Annotated[str | None, typer.Option(help="https://HOST:PORT; this machine's cloud when not given.")]
Ca = Annotated[Path | None, typer.Option(help="The cloud's CA certificate (PEM).")]
Fingerprint = Annotated[
    str | None,
    typer.Option("--fingerprint", help="SHA-256 of the cloud's CA: `aerekos ca fingerprint`, there."),
]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.add_typer(ca, name="ca")


def find_cloud(server: str | None, ca_file: Path | None, fingerprint: str | None) -> tuple[str, str | None]:
    """Address and CA (PEM) of the cloud to log in to. Raises UserError."""
    from cli.confirmation import is_somebody_there
    from cli.login.trust import Trust, cloud_to_log_in_to

    trust = Trust(ca_file, fingerprint, ask if is_somebody_there() else None)
    return cloud_to_log_in_to(settings.load(), server, trust)


@ca.command("fingerprint")
def show_fingerprint() -> None:
    """Print the SHA-256 fingerprint of the CA: what another machine compares before it trusts this cloud."""
    from controller.kit.authorities import fingerprint, spelled

    say(spelled(fingerprint(_pem())))


@ca.command("show")
def show() -> None:
    """Print the CA certificate (PEM), for browsers and other tools: aerekos ca show > ca.crt"""
    say(_pem().rstrip())


@ca.command("renew")
def renew(yes: Yes = False) -> None:
    """Give the CA of this machine's cloud another certificate for its key: the clock was wrong when it was founded,
    or the certificate ends. The cloud must be down, and other machines must trust the new certificate.
    """
    from cli.confirmation import confirm
    from cli.lifecycle import renew_ca

    wanted = settings.load()
    found = renew_ca.what_is_wrong(wanted)
    if not found:
        say("the CA's certificate is valid: nothing was changed")
        return
    for each in found:
        say(each.message)
    if not yes:
        confirm("Is this machine's clock right, and is the CA to have another certificate?")
    say(f"CA fingerprint:       {renew_ca.renew(wanted)}")
    say("Here:                 aerekos up")
    say("On other machines:    aerekos logout, then login again, and compare this fingerprint; join workers again")


def _pem() -> str:
    from cli.login import aws_env, contexts
    from controller.kit.authorities import first_certificate
    from controller.main.errors import UserError

    wanted, context = settings.load(), contexts.current()
    if context is not None and not context.ca:
        raise UserError(f"{context.server} is trusted by the system's authorities", hint="ask its admin for its CA")
    file = aws_env.ca_file(wanted, context)
    if not file.exists():
        raise UserError(f"there is no cloud in {wanted.home}", hint="start one: aerekos up")
    try:
        return first_certificate(file.read_text())
    except (OSError, ValueError) as odd:
        raise UserError(f"{file}: {odd}", hint="put a backup in its place; aerekos doctor") from odd
