"""The commands about resources of any kind: get, describe, apply, diff, edit, delete, wait, events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import At, Everywhere, Files, Kinds, Labels, Names, Namespace, Resources, Timeout, Yes
from cli.completion import complete_names
from cli.output import say
from controller.main import settings
from controller.main.errors import Misuse

if TYPE_CHECKING:
    from cli.api_client import ApiClient
    from cli.resources.get import GetOptions

Watch = Annotated[bool, typer.Option("-w", "--watch", help="Go on with a line per change.")]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    for command in (get, describe, apply, diff, edit, delete, wait, events):
        app.command()(command)


def get(
    kinds: Kinds,
    names: Names = None,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    labels: Labels = "",
    fields: Annotated[str, typer.Option("--field-selector", help="Fields, e.g. metadata.name=x.")] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="table, wide, json, yaml or name.")] = "table",
    watch: Watch = False,
    show_labels: Annotated[bool, typer.Option("--show-labels", help="With labels as the last column.")] = False,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Rows alone.")] = False,
    at: At = "",
) -> None:
    """List resources of any kind, or show some of them."""
    from cli import api_client
    from cli.resources import get, moments
    from cli.resources import kinds as discovery

    if watch and at:
        raise Misuse("--watch follows what happens now", hint="leave out --at")

    form = get.check_output(output)
    look = get.Look(form, labels=show_labels, headers=not no_headers)
    room = None if everywhere else namespace or "default"
    with api_client.connect(settings.load()) as api:
        meant = get.meant(discovery.discover(api), kinds, names or [])
        revision = moments.revision_at(api, at) if at else ""
        chosen = [get.GetOptions(kind, room, named, labels, fields, look, revision) for kind, named in meant]
        if watch and len(chosen) > 1:
            raise Misuse("--watch follows one kind", hint=f"e.g. aerekos get {chosen[0].kind.plural} --watch")
        if watch:
            get.follow(api, chosen[0])
        elif len(chosen) > 1 and form in ("json", "yaml"):
            found = [item for each in chosen for item in get.items(api, each)]
            get.show_objects(found, form, single=False)
        else:
            _show_each(api, chosen)


def _show_each(api: ApiClient, chosen: list[GetOptions]) -> None:
    from cli.resources import get

    for number, each in enumerate(chosen):
        if len(chosen) > 1 and each.as_table:
            say(f"{'' if number == 0 else chr(10)}# {each.kind.plural}")
        get.show(api, each)


def describe(resources: Resources, namespace: Namespace = None) -> None:
    """Everything about a resource, its conditions and what happened to it."""
    from cli import api_client
    from cli.resources import describe, references
    from cli.resources import kinds as discovery

    with api_client.connect(settings.load()) as api:
        kinds = discovery.discover(api)
        named = references.resolve(kinds, resources, "get", "aerekos describe service NAME")
        # Of what is only shown, the resource behind it: events are about that.
        stored = [(kinds.stored(kind), name) for kind, name in named]
        pages = [describe.describe(api, kind, namespace or "default", name) for kind, name in stored]
    say("\n\n".join(pages))


def apply(
    files: Files = None,
    namespace: Namespace = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Let the cloud check it, change nothing.")] = False,
) -> None:
    """Make it so: create what is missing, change what differs, leave the rest alone."""
    from cli import api_client
    from cli.resources import apply, manifests
    from cli.resources import kinds as discovery

    if not files:
        raise Misuse("nothing to apply", hint="aerekos apply -f FILE")
    found = manifests.read_all(files)
    with api_client.connect(settings.load()) as api:
        placed = apply.place(found, discovery.discover(api), namespace)
        apply.apply_all(api, placed, dry_run=dry_run)


def diff(
    resources: Annotated[
        list[str] | None,
        typer.Argument(help="With --at: KIND/NAME..., or KIND NAME...", autocompletion=complete_names),
    ] = None,
    files: Files = None,
    at: At = "",
    namespace: Namespace = None,
) -> None:
    """Show what `apply -f` would change, or with --at what has changed since then. Exits with 1 when something is."""
    from cli import api_client
    from cli.resources import apply, diff, manifests
    from cli.resources import kinds as discovery

    if bool(files) == bool(resources) or bool(resources) != bool(at):
        raise Misuse("say what to compare", hint="aerekos diff -f FILE   or   aerekos diff KIND/NAME --at 2h")
    found = manifests.read_all(files) if files else []
    with api_client.connect(settings.load()) as api:
        if found:
            placed = apply.place(found, discovery.discover(api), namespace)
            differs = diff.show_all(api, placed)
        else:
            differs = _show_since(api, resources or [], namespace, at)
    if differs:
        raise typer.Exit(1)


def _show_since(api: ApiClient, resources: list[str], namespace: str | None, at: str) -> bool:
    from cli.resources import history, moments

    revision = moments.revision_at(api, at)
    named = history.subjects(api, resources, namespace, "aerekos diff service/NAME --at 2h")
    texts = [history.difference(api, each, revision) for each in named]
    for text in filter(None, texts):
        say(text)
    return any(texts)


def edit(resources: Resources, namespace: Namespace = None) -> None:
    """Change a resource in your editor ($VISUAL, $EDITOR); saved, it is applied. What is refused can be mended."""
    from cli import api_client
    from cli.resources import edit, references
    from cli.resources import kinds as discovery

    with api_client.connect(settings.load()) as api:
        named = references.resolve(discovery.discover(api), resources, "update", "aerekos edit service NAME")
        for kind, name in named:
            say(edit.edit(api, kind, namespace or "default", name))


def delete(
    resources: Annotated[
        list[str] | None, typer.Argument(help="KIND NAME..., or KIND/NAME...", autocompletion=complete_names)
    ] = None,
    files: Files = None,
    namespace: Namespace = None,
    yes: Yes = False,
    after: Annotated[
        int | None, typer.Option(min=7, max=30, help="Keys only: days until they are gone, 7 to 30.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Come back when it is gone.")] = True,
    ignore_missing: Annotated[bool, typer.Option("--ignore-not-found", help="Ignore missing resources.")] = False,
    timeout: Timeout = 60.0,
) -> None:
    """Delete the resources you name, or those that files name.

    On a terminal it asks before it deletes keys, workers, users or namespaces.
    """
    from cli import api_client
    from cli.resources import apply, delete, manifests, references
    from cli.resources import kinds as discovery

    if bool(files) == bool(resources):
        raise Misuse("say what to delete", hint="aerekos delete KIND NAME...   or   aerekos delete -f FILE")
    found = manifests.read_all(files) if files else []
    with api_client.connect(settings.load()) as api:
        kinds = discovery.discover(api)
        if found:
            # Backwards: what came last stands on what came first.
            placed = reversed(apply.place(found, kinds, namespace))
            targets = [delete.Target(each.kind, each.namespace, each.document.name) for each in placed]
        else:
            named = references.resolve(kinds, resources or [], "delete", "aerekos delete bucket NAME")
            targets = [delete.Target(kind, namespace or "default", name) for kind, name in named]
        manner = delete.Manner(asks=not yes, days=after, wait=wait, timeout=timeout, ignore_missing=ignore_missing)
        delete.delete_all(api, targets, manner)


def wait(
    resources: Resources,
    until: Annotated[
        str, typer.Option("--for", help="delete, or condition=NAME[=VALUE]; ready when not given.")
    ] = "",
    namespace: Namespace = None,
    timeout: Timeout = 60.0,
) -> None:
    """Come back when a resource is as you want it, or say why it is not."""
    from cli import api_client
    from cli.resources import kinds as discovery
    from cli.resources import references, wait

    goal = wait.read_goal(until)
    with api_client.connect(settings.load()) as api:
        named = references.resolve(discovery.discover(api), resources, "get", "aerekos wait service NAME")
        for kind, name in named:
            say(wait.wait(api, kind, namespace or "default", name, goal, timeout=timeout))


def events(
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    about: Annotated[str, typer.Option("--for", help="Only about KIND/NAME or NAME.")] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="table, json or yaml.")] = "table",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Go on with a line per event.")] = False,
) -> None:
    """What happened, oldest first."""
    from cli import api_client
    from cli.resources import events

    if output not in ("table", "json", "yaml"):
        raise Misuse(f'-o: "{output}" is not known', hint="one of table, json, yaml")
    room = None if everywhere else namespace or "default"
    with api_client.connect(settings.load()) as api:
        events.show(api, room, about, output, watch=watch)
