"""The commands that make something new: create service, templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import Namespace
from cli.completion import complete_templates
from controller.main import settings

if TYPE_CHECKING:
    from cli.resources.create import CreateOptions

create = typer.Typer(help="Make something new.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.add_typer(create, name="create")
    app.command()(templates)


@create.command("service")
def create_service(
    name: Annotated[str, typer.Argument(help="Its name.")],
    template: Annotated[
        str, typer.Option("--template", help="See: aerekos templates.", autocompletion=complete_templates)
    ] = "",
    values: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of the template.")] = None,
    value_files: Annotated[
        list[str] | None, typer.Option("--set-file", help="NAME=FILE: the value is in that file.")
    ] = None,
    command: Annotated[
        str, typer.Option("--command", help="A program of the machine, or what an image starts: 'python3 /app/x.py'.")
    ] = "",
    image: Annotated[str, typer.Option("--image", help="A container; needs Docker.")] = "",
    engine: Annotated[
        str, typer.Option("--engine", help="A database or the like, e.g. postgresql or postgresql=15.")
    ] = "",
    ports: Annotated[
        list[str] | None, typer.Option("--port", help="8080 or http=8080; a program listens where PORT says.")
    ] = None,
    published: Annotated[
        int | None, typer.Option("--publish", help="The first port, reachable at this port of the machine.")
    ] = None,
    env: Annotated[list[str] | None, typer.Option("--env", help="NAME=VALUE, readable by all who see it.")] = None,
    files: Annotated[
        list[str] | None, typer.Option("--file", help="LOCAL:/PATH, kept in a ConfigMap; a folder: all of it.")
    ] = None,
    volumes: Annotated[
        list[str] | None, typer.Option("--volume", help="NAME:/PATH, a folder that outlives restarts.")
    ] = None,
    replicas: Annotated[int | None, typer.Option("--replicas", min=0, max=1000, help="Number of replicas.")] = None,
    memory: Annotated[str, typer.Option("--memory", help="What an instance may use at most, e.g. 256Mi.")] = "",
    namespace: Namespace = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Let the cloud check it, change nothing.")] = False,
    output: Annotated[str, typer.Option("-o", "--output", help="name, yaml or json: what was made.")] = "",
) -> None:
    """Run something of your own: from a template, a program, a container or an engine."""
    from cli.resources.create import CreateOptions

    wanted = CreateOptions(
        name=name,
        namespace=namespace or "default",
        template=template,
        values=values or (),
        value_files=value_files or (),
        command=command,
        image=image,
        engine=engine,
        ports=ports or (),
        published=published,
        env=env or (),
        files=files or (),
        volumes=volumes or (),
        replicas=replicas,
        memory=memory,
    )
    _create(wanted, dry_run=dry_run, output=output)


def _create(wanted: CreateOptions, *, dry_run: bool, output: str) -> None:
    from cli import api_client
    from cli.resources import create
    from cli.resources import kinds as discovery

    create.check(wanted)
    with api_client.connect(settings.load()) as api:
        items = create.manifests(api, wanted, only_look=dry_run)
        create.create(api, discovery.discover(api), items, dry_run=dry_run, form=output)


def templates(
    name: Annotated[
        str, typer.Argument(help="Show its parameters.", autocompletion=complete_templates, show_default=False)
    ] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="table, json or yaml.")] = "table",
) -> None:
    """Services to begin with, for: aerekos create service NAME --template T"""
    from cli import api_client
    from cli.resources import create

    with api_client.connect(settings.load()) as api:
        create.show_templates(api, name, output)
