"""The commands about the program itself: version, help, completion, open, contexts; and what stands before a verb."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import completion
from cli.completion import complete_contexts, complete_names, complete_namespaces
from cli.login import contexts
from cli.output import as_json, as_yaml, say
from controller.main import settings
from controller.main.errors import Misuse

shells = typer.Typer(help="Completion of commands in your shell.", no_args_is_help=True)
Shell = Annotated[str | None, typer.Argument(help="bash, zsh or fish; found out when not given.")]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.callback()(before_the_verb)
    app.command()(version)
    app.command("help")(help_)
    app.command("open")(open_)
    app.command("contexts")(contexts_)
    app.add_typer(shells, name="completion")


def _show_version(asked: bool) -> None:
    if asked:
        from cli import version_info

        say(version_info.own())
        raise typer.Exit


def before_the_verb(
    ctx: typer.Context,
    namespace: Annotated[
        str | None,
        typer.Option("-n", "--namespace", help="For the command that follows.", autocompletion=complete_namespaces),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            "--context",
            envvar="AEREKOS_CONTEXT",
            help="Act as another login (see: aerekos contexts); local: the admin of this machine's cloud.",
            autocompletion=complete_contexts,
        ),
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", help="Show the version, and end.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Your own cloud, on machines you own. Start it: aerekos up"""
    contexts.choose(context)
    if namespace is not None:
        _give_namespace(ctx, namespace)


def _give_namespace(ctx: typer.Context, namespace: str) -> None:
    """As if it had been typed after the verb. Raises Misuse for a verb that knows none."""
    group: Any = ctx.command
    verb = ctx.invoked_subcommand or ""
    command = group.commands.get(verb)
    given: dict[str, Any] = {"namespace": namespace}
    below = getattr(command, "commands", {})  # of a verb that is a group, like create
    taking = {name: given for name, each in below.items() if _takes_namespace(each)}
    if not taking and (command is None or not _takes_namespace(command)):
        raise Misuse(f"{verb} is not about one namespace", hint="leave out -n")
    ctx.default_map = {verb: taking or given}


def _takes_namespace(command: Any) -> bool:
    return any(each.name == "namespace" for each in command.params)


def version(
    output: Annotated[str, typer.Option("-o", "--output", help="text, json or yaml.")] = "text",
) -> None:
    """The version of this program, and of the cloud when one answers."""
    from cli import version_info

    if output not in ("text", "json", "yaml"):
        raise Misuse(f'-o: "{output}" is not known', hint="one of text, json, yaml")
    found = version_info.both(settings.load())
    if output == "text":
        say(f"aerekos {found['client']}\ncloud   {found['cloud'] or 'nobody answers'}")
    else:
        say(as_json(found) if output == "json" else as_yaml(found))


def help_(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]", help="Which; all when not given.")] = None,
) -> None:
    """Help about a command: aerekos help get"""
    command: Any = ctx.find_root().command
    place: Any = ctx.find_root()
    for word in words or ():
        found = getattr(command, "commands", {}).get(word)
        if found is None:
            from cli.hints import closest

            near = closest(word, getattr(command, "commands", {}))
            raise Misuse(f'no command is called "{word}"', hint=f"did you mean {near}?" if near else "aerekos help")
        command, place = found, type(place)(found, info_name=word, parent=place)
    say(command.get_help(place))


def open_(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KIND NAME]", help="KIND NAME, or KIND/NAME.", autocompletion=complete_names),
    ] = None,
    namespace: Annotated[str | None, typer.Option("-n", "--namespace", help="Namespace of what is named.")] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser, or only print the address.")] = True,
) -> None:
    """Open the dashboard, or one resource in it."""
    from cli.resources import open_page

    open_page.show(settings.load(), words or [], namespace or "default", browser=browser)


def contexts_() -> None:
    """The logins that are kept on this machine, for --context; * is the one that counts here."""
    now = contexts.current()
    counts = now.name if now else contexts.LOCAL
    for each in contexts.known():
        say(f"{'*' if each == counts else ' '} {each}")


@shells.command("show")
def completion_show(shell: Shell = None) -> None:
    """Print the completion script."""
    say(completion.script(completion.shell_named(shell)))


@shells.command("install")
def completion_install(shell: Shell = None) -> None:
    """Add completion to your shell's own settings."""
    name = completion.shell_named(shell)
    say(f"completion for {name} is in {completion.install(name)}; open a new shell to use it")
