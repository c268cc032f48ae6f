"""The commands about services and their instances: scale, restart, rollback, logs, trace, exec, import, ..."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands.options import Namespace, Service, ServiceOrInstance, Timeout
from cli.output import say
from controller.main import settings
from controller.main.errors import Misuse


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    for command in (scale, enable, disable, restart, rollback, logs, trace):
        app.command()(command)
    app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(exec_)
    app.command("import")(import_)


def scale(
    service: Service,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[REPLICAS]", help="Number of replicas; or --replicas.")
    ] = None,
    replicas: Annotated[int | None, typer.Option("--replicas", min=0, max=1000, help="Number of replicas.")] = None,
    namespace: Namespace = None,
) -> None:
    """Set the number of replicas of a service: aerekos scale web 3"""
    from cli import api_client
    from cli.resources import service_changes

    word, wanted = service_changes.read_scale(service, words or [], replicas)
    with api_client.connect(settings.load()) as api:
        say(service_changes.scale(api, word, namespace, wanted))


def enable(service: Service, namespace: Namespace = None) -> None:
    """Let a service run again, with as many replicas as it had."""
    from cli import api_client
    from cli.resources import service_changes

    with api_client.connect(settings.load()) as api:
        say(service_changes.set_enabled(api, service, namespace, enabled=True))


def disable(service: Service, namespace: Namespace = None) -> None:
    """Stop every instance of a service; it keeps its settings and its data."""
    from cli import api_client
    from cli.resources import service_changes

    with api_client.connect(settings.load()) as api:
        say(service_changes.set_enabled(api, service, namespace, enabled=False))


def restart(service: Service, namespace: Namespace = None) -> None:
    """Restart a service, one instance after the other."""
    from cli import api_client
    from cli.resources import service_changes

    with api_client.connect(settings.load()) as api:
        say(service_changes.restart(api, service, namespace))


def rollback(
    service: Service,
    to: Annotated[int, typer.Option("--to-revision", min=0, help="Which, by its number; 0: the one before.")] = 0,
    listed: Annotated[bool, typer.Option("--list", help="Only show which there are.")] = False,
    namespace: Namespace = None,
) -> None:
    """Go back to what a service looked like before its last change."""
    from cli import api_client
    from cli.resources import revisions

    with api_client.connect(settings.load()) as api:
        if listed:
            say(revisions.listed(api, service, namespace))
        else:
            say(revisions.roll_back(api, service, namespace, to))


def logs(
    service: ServiceOrInstance,
    namespace: Namespace = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come.")] = False,
    tail: Annotated[int, typer.Option(min=0, max=100_000, help="How many lines to begin with.")] = 200,
    instance: Annotated[str | None, typer.Option(help="Only this instance, e.g. web-0.")] = None,
    since: Annotated[str | None, typer.Option(help="Only newer ones, e.g. 30s, 15m, 2h.")] = None,
    timestamps: Annotated[bool, typer.Option(help="The time of each line before it.")] = False,
    previous: Annotated[bool, typer.Option("-p", "--previous", help="Of before its last start.")] = False,
    output: Annotated[str, typer.Option("-o", "--output", help="text, or json: as it was written.")] = "text",
) -> None:
    """What a service wrote, of all its instances by time."""
    from cli import api_client
    from cli.resources import logs as logs_
    from cli.resources import references
    from cli.resources.moments import read_duration

    if output not in ("text", "json"):
        raise Misuse(f'-o: "{output}" is not known', hint="text or json")
    newest = None if since is None else read_duration(since, "--since")
    choice = logs_.Choice(tail, newest, timestamps, previous, follow, raw=output == "json")
    with api_client.connect(settings.load()) as api:
        found = references.find_service(api, service, namespace)
        if instance is not None:
            found = references.ServiceReference(found.namespace, found.name, instance)
        logs_.show(api, found, choice)


def trace(
    id: Annotated[str, typer.Argument(help="Request id of an answer (X-Request-ID), or the id of a trace.")],
    since: Annotated[str, typer.Option(help="How far back to look, e.g. 15m, 2h.")] = "1h",
    output: Annotated[str, typer.Option("-o", "--output", help="text or json.")] = "text",
) -> None:
    """One request through everything that wrote of it: lines and spans by time, where logs are kept."""
    import sys
    import time

    from cli import api_client
    from cli.output import as_json, complain, has_colours, write
    from cli.resources import trace as trace_
    from cli.resources.moments import read_duration

    if output not in ("text", "json"):
        raise Misuse(f'-o: "{output}" is not known', hint="text or json")
    with api_client.connect(settings.load()) as api:
        found = trace_.steps(api, id, read_duration(since, "--since"), time.time_ns(), complain)
    if output == "json":
        say(as_json(trace_.as_dicts(found)))
        return
    if not found:
        complain(f"nothing that is kept holds {id}")
    for line in trace_.shown(found, colour=has_colours(sys.stdout)):
        write(line)


def exec_(
    service: ServiceOrInstance,
    command: Annotated[list[str] | None, typer.Argument(help="What to run; a shell when not given.")] = None,
    namespace: Namespace = None,
    stdin: Annotated[bool, typer.Option("-i", "--stdin", help="Send it what comes on stdin.")] = False,
    tty: Annotated[bool, typer.Option("-t", "--tty", help="With a terminal.")] = False,
) -> None:
    """Run a command in an instance of a service, with a terminal where there is one: aerekos exec web -- ls"""
    from cli import api_client
    from cli.resources import exec_session, references

    with api_client.connect(settings.load()) as api:
        found = references.find_service(api, service, namespace)
        code = exec_session.run(api, found, command or [], stdin=stdin, tty=tty)
    raise typer.Exit(code)


def import_(
    name: Annotated[str, typer.Argument(help="A Swarm service that is not ours yet.")],
    to: Annotated[str | None, typer.Option("--as", help="Its name as a Service.")] = None,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="Target namespace.")] = "default",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the Service.")] = False,
    timeout: Timeout = 120.0,
) -> None:
    """Make a Service of a Swarm service. Its instances run on."""
    from cli import api_client
    from cli.output import as_yaml
    from cli.resources import import_service

    with api_client.connect(settings.load()) as api:
        service = import_service.manifest(api, name, to, namespace)
        if dry_run:
            say(as_yaml(service))
            return
        import_service.adopt(api, name, service, timeout=timeout)
    say(f"{name} is the Service {service['metadata']['name']} now")
