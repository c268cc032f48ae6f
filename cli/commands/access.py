"""The commands about who may come in: login, logout, token, audit, keys."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.commands.authority import Ca, Fingerprint, Server, find_cloud
from cli.output import complain, say
from controller.main import settings

token = typer.Typer(help="Join tokens: let machines become workers.", no_args_is_help=True)
audit = typer.Typer(help="The audit log.", no_args_is_help=True)
keys = typer.Typer(help="The keys that the cloud signs, derives and seals with.", no_args_is_help=True)

FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")]
Name = Annotated[str, typer.Argument(help="Name.")]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.command()(login)
    app.command()(logout)
    app.add_typer(token, name="token")
    app.add_typer(keys, name="keys")
    app.add_typer(audit, name="audit")


def login(
    address: Annotated[
        str | None, typer.Argument(help="https://HOST:PORT of the cloud; this machine's own when not given.")
    ] = None,
    name: Annotated[str, typer.Option("--user", "-u", help="Who you are; with --oidc, the issuer says so.")] = "",
    server: Server = None,
    ca: Ca = None,
    known_by: Fingerprint = None,
    password_stdin: FromStdin = False,
    oidc: Annotated[
        bool, typer.Option("--oidc", help="Log in at the OpenID Connect issuer this cloud trusts.")
    ] = False,
    browser: Annotated[bool, typer.Option(help="With --oidc: open a browser, or only print the address.")] = True,
) -> None:
    """Log in; the next commands act as that user. Asks for the code of a second factor where there is one, and after
    a one-time password for another one (with --password-stdin: on the second line).

    A cloud that this machine does not know shows the fingerprint of its CA, to be compared with what
    `aerekos ca fingerprint` prints on its machine, or given with --fingerprint. From then on it alone is trusted.
    """
    from cli.login import session
    from controller.main.errors import Misuse

    if not name and not oidc:
        raise Misuse("who are you?", hint="--user NAME, or --oidc")
    if address and server:
        raise Misuse("two addresses are given", hint="aerekos login https://HOST:PORT --user NAME")
    where, trusted = find_cloud(address or server, ca, known_by)
    if oidc:
        from cli.login import oidc_login

        say(f"logged in to {where} as {oidc_login.login(where, trusted, browser=browser)}")
        return
    password = session.read_password(f"Password of {name}", from_stdin=password_stdin)

    def choose() -> str:
        if not password_stdin:
            say("This password is good for one login. Choose another one.")
        return session.read_password(f"New password of {name}", from_stdin=password_stdin, twice=True)

    session.login(where, trusted, name, password, choose=choose)
    say(f"logged in to {where} as {name}")


def logout() -> None:
    """End the session; on the cloud's own machine, commands act as its admin again."""
    from cli.login import session

    say("logged out" if session.logout() else "nobody was logged in")


@token.command("create")
def create_token(
    name: Annotated[str | None, typer.Argument(help="Name; made up when not given.")] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=8760, help="How long it is good for.")] = 24.0,
    uses: Annotated[int, typer.Option(min=0, help="How many machines; 0: any number.")] = 1,
) -> None:
    """Make a join token. It is shown this once."""
    from cli import api_client
    from cli.login import aws_env, join_tokens

    wanted = settings.load()
    with api_client.connect(wanted) as api:
        ca = aws_env.ca_file(wanted, api.context).read_text()
        how = api.get("/join")
        made = join_tokens.create_token(api, name or join_tokens.random_name(), hours=hours, uses=uses, ca=ca)
        server, warning = ("", "") if how["swarm"] else join_tokens.reached_at(api, wanted)
    if warning:
        complain(warning)
    say(f"{made}\n\nOn the machine that joins:\n  {join_tokens.join_line(how, server, made)}")


@token.command("list")
def list_tokens() -> None:
    """Show join tokens, without their secrets."""
    from cli.commands.resources import get

    get("jointokens")


@token.command("revoke")
def revoke_token(name: Name) -> None:
    """No machine can join with it any more. Those that did stay."""
    from cli import api_client
    from cli.login import join_tokens

    with api_client.connect(settings.load()) as api:
        join_tokens.revoke_token(api, name)
    say(f"join token {name} revoked")


@audit.command("verify")
def verify_audit(
    file: Annotated[Path | None, typer.Argument(help="One file; the home's whole log when not given.")] = None,
) -> None:
    """Check that no line of the audit log was changed, moved or taken away."""
    from cli import audit_verify

    found = audit_verify.check(settings.load(), file)
    for line in audit_verify.report(found):
        say(line)
    if found.faults:
        raise typer.Exit(1)


class What(StrEnum):
    """The keys of a cloud."""

    token = "token"  # noqa: S105 (a word)
    master = "master"
    root = "root"
    store = "store"


@keys.command("rotate")
def rotate_keys(
    what: Annotated[
        What,
        typer.Option(
            help="token signs tokens; master derives secrets of services and workers, and AWS keys; root seals the "
            "keys of KMS; store seals secrets in the database."
        ),
    ] = What.token,
    revoke: Annotated[
        bool,
        typer.Option(
            "--revoke",
            help="For a token or master key that leaked: all that older ones signed or derived ends. With master, "
            "machines join again, and AWS keys made before are gone.",
        ),
    ] = False,
    drop_old: Annotated[
        bool,
        typer.Option(
            "--drop-old",
            help="Make no key; forget the older ones, once nothing is sealed with them (root, store), or to end what "
            "they derived (master).",
        ),
    ] = False,
) -> None:
    """Take another key into use. Token keys rotate by themselves every 30 days; old ones go with their last token.

    Master, root and store keys rotate in two steps: this, and --drop-old when the answer says that it can be. Until
    then older ones open what they sealed. Keep the secrets/ of before as long as you keep backups of before.
    """
    from cli import api_client

    body = {"what": what.value, "revoke": revoke, "dropOld": drop_old}
    with api_client.connect(settings.load()) as api:
        made = api.ask("POST", "/auth/keys/rotate", json=body)
    if what is What.token:
        say(f"{made['kid']} signs from now on; keys that still count: {made['keys']}")
        return
    say(f"{what.value} key: {made['newest']} is in use; older ones kept: {made['older']}")
    if made["waiting"]:
        say(f"still under older ones: {made['waiting']}")
    if made["then"]:
        say(f"next: {made['then']}")
