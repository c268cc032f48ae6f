"""The commands about resources: get, describe, apply, delete, scale, logs, events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli import settings
from cli.errors import Misuse
from cli.output import complain, say
from cli.urls import segment

if TYPE_CHECKING:
    from cli.connecting import Api
    from cli.getting import Wanted

Namespace = Annotated[str | None, typer.Option("-n", "--namespace", help="Namespace; default when not given.")]
Everywhere = Annotated[bool, typer.Option("-A", "--all-namespaces", help="In all namespaces.")]
Kind = Annotated[str, typer.Argument(help="e.g. services, keys, buckets, workers; several with commas; all.")]
Names = Annotated[list[str] | None, typer.Argument(help="Names; all of the kind when not given.")]
Files = Annotated[list[str] | None, typer.Option("-f", "--filename", help="File, folder, or - for stdin.")]
Labels = Annotated[str, typer.Option("-l", "--selector", help="Labels, e.g. team=blue,tier!=db.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait.")]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    for command in (get, describe, apply, delete, scale, logs, events):
        app.command()(command)
    app.command("import")(import_)


def get(
    kinds: Kind,
    names: Names = None,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    labels: Labels = "",
    fields: Annotated[str, typer.Option("--field-selector", help="Fields, e.g. metadata.name=x.")] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="table, wide, json, yaml or name.")] = "table",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Go on with a line per change.")] = False,
) -> None:
    """List resources of any kind, or show some of them."""
    from cli import connecting, getting
    from cli import kinds as discovery

    form = getting.check_output(output)
    room = None if everywhere else namespace or "default"
    with connecting.connect(settings.load()) as api:
        meant = discovery.discover(api).meant(kinds)
        chosen = [getting.Wanted(each, room, tuple(names or ()), labels, fields, form) for each in meant]
        if watch and len(chosen) > 1:
            raise Misuse("--watch follows one kind", hint=f"e.g. aerekos get {meant[0].plural} --watch")
        if watch:
            getting.follow(api, chosen[0])
        elif len(chosen) > 1 and form in ("json", "yaml"):
            found = [item for each in chosen for item in getting.items(api, each)]
            getting.show_objects(found, form, single=False)
        else:
            _show_each(api, chosen)


def _show_each(api: Api, chosen: list[Wanted]) -> None:
    from cli import getting

    for number, each in enumerate(chosen):
        if len(chosen) > 1 and each.as_table:
            say(f"{'' if number == 0 else chr(10)}# {each.kind.plural}")
        getting.show(api, each)


def describe(
    kind: Kind, names: Annotated[list[str], typer.Argument(help="Names.")], namespace: Namespace = None
) -> None:
    """Everything about a resource, its conditions and what happened to it."""
    from cli import connecting, describing
    from cli import kinds as discovery

    with connecting.connect(settings.load()) as api:
        served = discovery.discover(api).called(kind)
        pages = [describing.describe(api, served, namespace or "default", name) for name in names]
    say("\n\n".join(pages))


def apply(
    files: Files = None,
    namespace: Namespace = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Let the cloud check it, change nothing.")] = False,
) -> None:
    """Make it so: create what is missing, change what differs, leave the rest alone."""
    from cli import applying, connecting, documents
    from cli import kinds as discovery

    if not files:
        raise Misuse("nothing to apply", hint="aerekos apply -f FILE")
    found = documents.read_all(files)
    with connecting.connect(settings.load()) as api:
        placed = applying.place(found, discovery.discover(api), namespace)
        applying.apply_all(api, placed, dry_run=dry_run)


def delete(
    kind: Annotated[str, typer.Argument(help="e.g. key, bucket, service.")] = "",
    names: Names = None,
    files: Files = None,
    namespace: Namespace = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Come back when it is gone.")] = True,
    ignore_missing: Annotated[bool, typer.Option("--ignore-not-found", help="What is gone is no error.")] = False,
    timeout: Timeout = 60.0,
) -> None:
    """Delete resources by name, or those that files name."""
    from cli import applying, connecting, documents
    from cli import kinds as discovery

    if bool(files) == bool(kind) or (kind and not names):
        raise Misuse("say what to delete", hint="aerekos delete KIND NAME...   or   aerekos delete -f FILE")
    found = documents.read_all(files) if files else []
    with connecting.connect(settings.load()) as api:
        kinds = discovery.discover(api)
        if found:
            # Backwards: what came last stands on what came first.
            placed = reversed(applying.place(found, kinds, namespace))
            targets = [(each.kind, each.namespace, each.document.name) for each in placed]
        else:
            served = kinds.called(kind)
            targets = [(served, namespace or "default", name) for name in names or ()]
        applying.delete_all(api, targets, wait=wait, timeout=timeout, ignore_missing=ignore_missing)


def scale(
    service: Annotated[str, typer.Argument(help="Service.")],
    replicas: Annotated[int, typer.Option("--replicas", min=0, max=1000, help="How many copies.")],
    namespace: Namespace = None,
) -> None:
    """Run more or fewer copies of a service."""
    from cli import connecting

    name = service.rpartition("/")[2]
    path = f"/apis/aerekos.cloud/v1/namespaces/{segment(namespace or 'default')}/services/{segment(name)}"
    headers = {"content-type": "application/merge-patch+json"}
    with connecting.connect(settings.load()) as api:
        api.ask("PATCH", path, json={"spec": {"replicas": replicas}}, headers=headers)
    say(f"service/{name} scaled to {replicas}")


def logs(
    service: Annotated[str, typer.Argument(help="Service.")],
    namespace: Namespace = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come.")] = False,
    tail: Annotated[int, typer.Option(min=0, max=100_000, help="How many lines to begin with.")] = 200,
    instance: Annotated[str | None, typer.Option(help="Only this copy, e.g. key-manager-0.")] = None,
) -> None:
    """What a service wrote."""
    from cli import connecting

    path = f"/logs/{segment(namespace or 'default')}/{segment(service.rpartition('/')[2])}"
    params = {"tail": str(tail), **({"instance": instance} if instance else {})}
    with connecting.connect(settings.load()) as api:
        if not follow:
            text = api.send("GET", path, params=params).text
            say(text.rstrip("\n")) if text else complain("no lines yet")
            return
        with api.stream(path, params={**params, "follow": "true"}) as answer:
            for line in answer.iter_lines():
                say(line)


def events(
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    about: Annotated[str, typer.Option("--for", help="Only about KIND/NAME or NAME.")] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="table, json or yaml.")] = "table",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Go on with a line per event.")] = False,
) -> None:
    """What happened, oldest first."""
    from cli import connecting, describing, getting
    from cli import kinds as discovery

    name = about.rpartition("/")[2]
    fields = f"involvedObject.name={name}" if name else ""
    with connecting.connect(settings.load()) as api:
        kind = discovery.discover(api).called("events")
        form = getting.check_output(output)
        wanted = getting.Wanted(kind, None if everywhere else namespace or "default", (), "", fields, form)
        if watch:
            getting.follow(api, wanted)
            return
        found = describing.by_time(getting.items(api, wanted))
    if wanted.as_table:
        say(describing.event_grid(found, about=True)) if found else complain("no events")
    else:
        getting.show_objects(found, output, single=False)


def import_(
    name: Annotated[str, typer.Argument(help="A Swarm service that is not ours yet.")],
    to: Annotated[str | None, typer.Option("--as", help="Its name as a Service.")] = None,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="Where it shall be.")] = "default",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the Service.")] = False,
    timeout: Timeout = 120.0,
) -> None:
    """Make a Service of a Swarm service. Its copies run on."""
    from cli import connecting, importing
    from cli.output import as_yaml

    with connecting.connect(settings.load()) as api:
        service = importing.manifest(api, name, to, namespace)
        if dry_run:
            say(as_yaml(service))
            return
        importing.adopt(api, name, service, timeout=timeout)
    say(f"{name} is the Service {service['metadata']['name']} now")
