"""The commands about users: making and changing them, their passwords, second factors, sessions and access keys."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands.authority import Ca, Fingerprint, Server, find_cloud
from cli.commands.options import Yes
from cli.completion import complete_namespaces, complete_users
from cli.output import say
from controller.main import settings

user = typer.Typer(help="Users and their passwords.", no_args_is_help=True)
totp = typer.Typer(help="Second factors: codes of an authenticator app.", no_args_is_help=True)
access_key = typer.Typer(
    help="Your AWS access keys: two, so that one can take the other's place.", no_args_is_help=True
)
user.add_typer(totp, name="totp")
user.add_typer(access_key, name="access-key")

FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")]
Name = Annotated[str, typer.Argument(help="Name.", autocompletion=complete_users)]
OrYou = Annotated[str | None, typer.Argument(help="Name; yourself when not given.", autocompletion=complete_users)]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.add_typer(user, name="user")


@user.command("create")
def create_user(
    name: Annotated[str, typer.Argument(help="Name.")],
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="admin, editor or viewer; repeat for more.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "-n",
            "--namespace",
            help="The only one the roles count in, and where AWS calls land.",
            autocompletion=complete_namespaces,
        ),
    ] = None,
    password_stdin: FromStdin = False,
) -> None:
    """Make a user; asks for the password. Without a namespace, roles count everywhere."""
    from cli import api_client
    from cli.login import session

    password = session.read_password(f"Password for {name}", from_stdin=password_stdin, twice=True)
    with api_client.connect(settings.load()) as api:
        session.create_user(api, name, roles or ["viewer"], namespace, password)
    say(f"user {name} created; log in: aerekos login --user {name}")


@user.command("passwd")
def change_password(name: Name, password_stdin: FromStdin = False) -> None:
    """Give a user a new password."""
    from cli import api_client
    from cli.login import session

    password = session.read_password(f"New password for {name}", from_stdin=password_stdin, twice=True)
    with api_client.connect(settings.load()) as api:
        session.change_password(api, name, password)
    say(f"password of {name} changed")


@user.command("list")
def list_users(
    output: Annotated[str, typer.Option("-o", "--output", help="table, wide, json, yaml or name.")] = "table",
) -> None:
    """Show users, their roles, and who is disabled."""
    from cli.commands.resources import get

    get("users.aerekos.cloud", output=output)


@user.command("enable")
def enable_user(name: Name) -> None:
    """Let a user in again."""
    _set_disabled(name, False)
    say(f"user {name} enabled")


@user.command("disable")
def disable_user(name: Name, yes: Yes = False) -> None:
    """Let a user in no more: sessions and access keys end at once. What is theirs stays."""
    from cli import confirmation

    if not yes:
        confirmation.confirm(f"Disable {name}? Their sessions end now.")
    _set_disabled(name, True)
    say(f"user {name} disabled; let in again: aerekos user enable {name}")


@user.command("delete")
def delete_user(name: Name, yes: Yes = False) -> None:
    """Delete a user, with sessions and access keys."""
    from cli.commands.resources import delete

    delete(["users.aerekos.cloud", name], yes=yes)


def _set_disabled(name: str, disabled: bool) -> None:
    from cli import api_client
    from cli.login import session

    with api_client.connect(settings.load()) as api:
        session.set_disabled(api, name, disabled=disabled)


@user.command("sessions")
def list_sessions(name: OrYou = None) -> None:
    """Show what a user is logged in with."""
    from cli import api_client
    from cli.login import session
    from cli.tables import grid

    with api_client.connect(settings.load()) as api:
        found = session.sessions(api, name)
    rows = [[each["id"] + (" *" if each["current"] else ""), each["refreshedAt"], each["expiresAt"], each["from"],
             each["userAgent"]] for each in found]  # fmt: skip
    say(grid(["ID", "LAST USED", "EXPIRES", "FROM", "PROGRAM"], rows))


@user.command("sign-out")
def sign_out(name: OrYou = None) -> None:
    """End every session of a user, everywhere."""
    from cli import api_client
    from cli.login import session

    with api_client.connect(settings.load()) as api:
        session.sign_out(api, name)
    say(f"{name or 'you'}: signed out everywhere")


Of = Annotated[str | None, typer.Option("--user", help="Whose, for admins; yours when not given.")]
KeyId = Annotated[str, typer.Argument(help="Id of the access key.")]


@access_key.command("list")
def list_access_keys(whose: Of = None) -> None:
    """Show access keys and when they were used last."""
    from cli import api_client
    from cli.login import access_keys

    with api_client.connect(settings.load()) as api:
        say(access_keys.listed(api, whose))


@access_key.command("create")
def create_access_key() -> None:
    """Make another one. Its secret is shown this once."""
    from cli import api_client
    from cli.login import access_keys

    with api_client.connect(settings.load()) as api:
        say(access_keys.created(api))


@access_key.command("deactivate")
def deactivate_access_key(key: KeyId, whose: Of = None) -> None:
    """Switch it off, at once; it can be switched on again."""
    _set_access_key(key, whose, "Inactive")


@access_key.command("activate")
def activate_access_key(key: KeyId, whose: Of = None) -> None:
    """Switch it on again."""
    _set_access_key(key, whose, "Active")


@access_key.command("delete")
def delete_access_key(key: KeyId, whose: Of = None) -> None:
    """Delete it, for good."""
    from cli import api_client
    from cli.login import access_keys

    with api_client.connect(settings.load()) as api:
        access_keys.delete(api, key, whose)
    say(f"access key {key} deleted")


def _set_access_key(key: str, whose: str | None, state: str) -> None:
    from cli import api_client
    from cli.login import access_keys

    with api_client.connect(settings.load()) as api:
        access_keys.set_state(api, key, whose, state)
    say(f"access key {key} is {state.lower()}")


WhoseFactor = Annotated[str, typer.Option("--user", "-u", help="Whose second factor.")]


@totp.command("enrol")
def enrol_totp(
    name: WhoseFactor,
    server: Server = None,
    ca: Ca = None,
    known_by: Fingerprint = None,
    password_stdin: FromStdin = False,
) -> None:
    """Add an authenticator app. From then on, logging in asks for its code."""
    from cli import api_client
    from cli.login import second_factor, session

    where, trusted = find_cloud(server, ca, known_by)
    password = session.read_password(f"Password of {name}", from_stdin=password_stdin)
    with api_client.anonymous(where, trusted) as api:
        codes = second_factor.enrol(api, name, password)
    say("Done. Recovery codes, each good once; keep them away from this machine:\n\n  " + "\n  ".join(codes))


@totp.command("remove")
def remove_totp(name: WhoseFactor, password_stdin: FromStdin = False) -> None:
    """Remove a second factor: one's own with password and code, as an admin anybody's."""
    from cli import api_client
    from cli.login import second_factor, session

    with api_client.connect(settings.load()) as api:
        if api.get("/auth/whoami")["name"] == name:
            password = session.read_password(f"Password of {name}", from_stdin=password_stdin)
            second_factor.remove(api, name, password, second_factor.ask_code())
        else:
            second_factor.remove(api, name)
    say(f"{name} has no second factor any more")
