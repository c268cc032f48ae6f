"""Front door of `aerekos`. What a command does lives in its own file; here is how it is called.

Everything heavy is imported inside the commands, so that `--help` and completion answer at once.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Annotated, Any

import typer

from cli import completion
from cli.commands import (
    about,
    access,
    authority,
    autostart,
    aws,
    backup,
    create,
    engines,
    explain,
    history,
    new,
    resources,
    services,
    store,
    users,
    workers,
)
from cli.commands.options import Home
from cli.errors import NotReachable
from cli.output import as_json, as_yaml, complain, say
from controller.main import settings
from controller.main.errors import INTERRUPTED, UserError

app = typer.Typer(
    name="aerekos",
    help="Your own cloud, on machines you own. Start it: aerekos up",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Port = Annotated[int | None, typer.Option("--port", help="Port to listen on [AEREKOS_PORT].")]
Runtime = Annotated[str | None, typer.Option("--runtime", help="auto, process or swarm [AEREKOS_RUNTIME].")]
Output = Annotated[str, typer.Option("-o", "--output", help="table, json or yaml.")]


@app.command()
def up(
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay here, for systemd and containers.")] = False,
    home: Home = None,
    port: Port = None,
    runtime: Runtime = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until it is ready.")] = 60.0,
    host: Annotated[
        str | None, typer.Option(help="Where to listen: localhost, an address, or :: for all [AEREKOS_HOST].")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Where it runs with other settings, start it anew with these.")
    ] = False,
    oidc_issuer: Annotated[
        str | None, typer.Option(help="Trust ID tokens of this OpenID Connect issuer [AEREKOS_OIDC_ISSUER].")
    ] = None,
    oidc_client_id: Annotated[
        str | None, typer.Option(help="The client they must be made for [AEREKOS_OIDC_CLIENT_ID].")
    ] = None,
) -> None:
    """Start the cloud and wait until it is ready. Safe to repeat."""
    import os

    from cli.lifecycle import up

    # The conductor is another process: it is told by its environment.
    told = {"AEREKOS_OIDC_ISSUER": oidc_issuer, "AEREKOS_OIDC_CLIENT_ID": oidc_client_id}
    os.environ.update({name: value for name, value in told.items() if value})
    wanted = settings.load(home=home, port=port, runtime=runtime, host=host)
    if not foreground:
        up.up(wanted, timeout=timeout, restart=restart)
        return
    up.prepare_home(wanted)
    up.serve(wanted)


@app.command()
def down(
    home: Home = None,
    timeout: Annotated[float, typer.Option(help="Seconds it may take to stop by itself.")] = 30.0,
) -> None:
    """Stop the cloud and every process of it. Its data stays."""
    from cli.lifecycle import down

    down.down(settings.load(home=home), timeout=timeout)


@app.command("status")
def status_(
    output: Output = "table",
    home: Home = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="Exit with 4 from critical, warning or info on.")
    ] = "critical",
) -> None:
    """Whether the cloud is well: findings with their fixes, workers and services.

    Exits with 0 when it is, 4 when something critical was found (or less: --fail-on), 3 when no cloud answers.
    """
    from cli import api_client, status
    from cli.errors import NOT_WELL

    _check_output(output)
    status.require_severity(fail_on)
    try:
        with api_client.connect(settings.load(home=home)) as api:
            seen = status.look(api)
    except NotReachable:
        # Programs that ask for JSON get JSON, whatever the answer.
        if output == "json":
            say(as_json(status.UNREACHABLE))
        raise
    if output in ("json", "yaml"):
        say(as_json(seen) if output == "json" else as_yaml(seen))
    else:
        say(status.render_all(seen))
    if status.fails(seen, fail_on):
        raise typer.Exit(NOT_WELL)


def _check_output(output: str) -> None:
    from controller.main.errors import Misuse

    if output not in ("table", "json", "yaml"):
        raise Misuse(f'-o: "{output}" is not known', hint="one of table, json, yaml")


FailOn = Annotated[str, typer.Option("--fail-on", help="With --security: exit with 1 from low, medium or high on.")]


@app.command()
def doctor(
    security: Annotated[bool, typer.Option("--security", help="Check it against docs/hardening.md.")] = False,
    output: Output = "table",
    fail_on: FailOn = "high",
) -> None:
    """Check everything a cloud needs, and say how to repair it."""
    from cli import doctor

    _check_output(output)
    if security:
        _doctor_security(output, fail_on)
        return
    found = list(doctor.examine(settings.load()))
    for line in doctor.lines(found):
        say(line)
    if any(each.level == "fail" for each in found):
        raise typer.Exit(1)


def _doctor_security(output: str, fail_on: str) -> None:
    from cli.security.checks import examine
    from cli.security.finding import ORDER, as_document, lines, worst
    from controller.main.errors import Misuse

    if fail_on not in ("low", "medium", "high"):
        raise Misuse(f"--fail-on {fail_on} is not known", hint="use low, medium or high")
    found = list(examine(settings.load()))
    if output in ("json", "yaml"):
        say(as_json(as_document(found)) if output == "json" else as_yaml(as_document(found)))
    else:
        for line in lines(found):
            say(line)
    if ORDER.index(worst(found)) >= ORDER.index(fail_on):
        raise typer.Exit(1)


@app.command("first-login")
def first_login(home: Home = None) -> None:
    """Print the one-time login, once, when nobody has seen it yet."""
    from cli.lifecycle import up

    wanted = settings.load(home=home)
    if not (wanted.tls / "admin.crt").exists():
        raise UserError(f"there is no cloud in {wanted.home}", hint="start one: aerekos up")
    if not up.tell_first_login(wanted):
        say("the first login was shown already; forgotten: aerekos user passwd admin")


ByCommand = Annotated[
    bool | None,
    typer.Option(
        "--exec/--no-exec",
        show_default=False,
        help="With a command that gets a fresh token each time (default for logins), or with what proves you now.",
    ),
]


@app.command("kubeconfig")
def kubeconfig_(by_command: ByCommand = None) -> None:
    """Print a kubeconfig: aerekos kubeconfig > ~/.kube/aerekos"""
    from cli import api_client
    from cli.login import kubeconfig

    wanted = settings.load()
    with api_client.connect(wanted) as api:
        say(as_yaml(kubeconfig.kubeconfig(api, wanted, by_command=by_command)))


@app.command("credential", hidden=True)
def credential(
    server: Annotated[
        str | None, typer.Option(help="The cloud it is for; a login to another one is refused.")
    ] = None,
) -> None:
    """Print an ExecCredential: what kubectl runs for a kubeconfig that has no token."""
    import os

    from cli import api_client
    from cli.login import kubeconfig

    wanted = settings.load()
    with api_client.connect(wanted) as api:
        say(as_json(kubeconfig.credential(api, wanted, server, os.environ)))


for each in (
    about,
    resources,
    history,
    create,
    new,
    services,
    engines,
    aws,
    autostart,
    backup,
    store,
    access,
    authority,
    users,
    explain,
    workers,
):
    each.register(app)


def main(arguments: list[str] | None = None) -> None:
    """The console script: 0 done, 1 refused, 2 misuse, 3 not reachable, 4 not well, 130 interrupted."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """One command, from its arguments to its exit code."""
    completion.prepare()
    try:
        result = _command().main(arguments, prog_name="aerekos", standalone_mode=False)
    except UserError as error:
        complain(f"error: {error}")
        return error.code
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return INTERRUPTED
    except Exception as error:
        return _shown(error)
    return result if isinstance(result, int) else 0


@cache
def _command() -> Any:
    """All commands; reading them off their functions costs more than most of them do."""
    return typer.main.get_command(app)


def _shown(error: Exception) -> int:
    """Typer's own errors know how to show themselves; anything else is our fault and stays loud."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if show is None or not isinstance(code, int):
        raise error
    show()
    return code


if __name__ == "__main__":
    main()
