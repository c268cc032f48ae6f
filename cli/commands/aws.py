"""The commands for AWS tools: env, aws."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.output import complain, say
from controller.main import settings


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.command("env")(env_)
    # Everything behind it is for the aws CLI, --help too.
    passed_on = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
    app.command("aws", context_settings=passed_on)(aws)


def env_(
    form: Annotated[str, typer.Option("--format", help="sh, fish or json.")] = "sh",
    program: Annotated[
        str,
        typer.Option(
            "--for", help="aws and its SDKs, or what reads other variables: minio, pgbackrest, rclone, restic."
        ),
    ] = "aws",
    unset: Annotated[bool, typer.Option("--unset", help="Take it back: eval $(aerekos env --unset)")] = False,
) -> None:
    """Print what AWS tools need: eval $(aerekos env)"""
    from cli import api_client
    from cli.login import aws_cli, aws_env, program_env

    aws_env.check_format(form)
    names = program_env.names_for(program)
    if unset:
        say(aws_env.unset_lines(form, names))
        return
    wanted = settings.load()
    with api_client.connect(wanted) as api:
        variables = aws_env.aws_variables(api, aws_env.ca_file(wanted, api.context))
    variables = program_env.variables_for(program, variables)
    version = None if form == "json" or program != "aws" else aws_cli.installed_version()
    too_old = version if aws_cli.is_too_old(version) else None
    if too_old:
        complain(aws_cli.warning(too_old))
    say(aws_env.as_lines(variables, form, wraps_aws=too_old is not None))


def aws(arguments: Annotated[list[str] | None, typer.Argument(help="What `aws` is to do.")] = None) -> None:
    """Run your aws CLI against this cloud: aerekos aws s3 ls"""
    from cli import api_client
    from cli.login import aws_cli, aws_env

    wanted = settings.load()
    with api_client.connect(wanted) as api:
        variables = aws_env.aws_variables(api, aws_env.ca_file(wanted, api.context))
    aws_cli.run(variables, arguments or [])
