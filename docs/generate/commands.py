"""docs/reference/cli.md: every command of `aerekos` and `aerekos-agent`, from the programs themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from agent.main import parser
from cli.main import app
from docs.generate.machine import on_any_machine
from docs.generate.markdown import code, codes, page, paragraph, table

LEAD = """\
Every command with its arguments and options; `aerekos COMMAND --help` says the same. Habits they share, exit
codes and examples: [../cli.md](../cli.md)."""


def cli_page() -> str:
    """`aerekos` command by command, then the agent."""
    return page("Commands", LEAD, [*_commands(typer.main.get_command(app), "aerekos"), _agent()])


def _commands(command: Any, path: str) -> Iterator[str]:
    """Commands by name, groups before what is in them. `command`: typer's or click's, which agree in what is read."""
    if command.hidden:
        return
    below: Mapping[str, Any] = getattr(command, "commands", {})
    yield f"## {path}\n\n{_help(command)}" if below else _command(command, path)
    for name in sorted(below):
        yield from _commands(below[name], f"{path} {name}")


def _command(command: Any, path: str) -> str:
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    arguments = [each for each in shown if each.param_type_name == "argument"]
    options = [each for each in shown if each.param_type_name == "option"]
    usage = " ".join([path, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)])
    rows = [(code(each.name.upper()), _help(each), _default(each)) for each in arguments]
    rows += [(_spellings(each), _help(each), _default(each)) for each in options]
    parts = [f"## {path}", code(usage), _help(command), table(["Argument or option", "Meaning", "Default"], rows)]
    return "\n\n".join(part for part in parts if part)


def _usage(argument: Any) -> str:
    name = f"{argument.name.upper()}{'...' if argument.nargs == -1 else ''}"
    return name if argument.required else f"[{name}]"


def _spellings(option: Any) -> str:
    return codes([*option.opts, *option.secondary_opts])


def _help(of: Any) -> str:
    """Help texts are paragraphs; a form feed ends what is shown."""
    text = str(of.help or "").partition("\f")[0]
    return "\n\n".join(paragraph(each) for each in text.split("\n\n"))


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if callable(default) or default in (None, False, "", (), []):
        return ""
    return code(str(default).lower() if isinstance(default, bool) else default)


def _agent() -> str:
    """Its parser, as it is without any variable set."""
    made = parser({})
    rows = [_agent_option(each) for each in made._actions if each.option_strings and each.dest != "help"]
    words = "aerekos-agent COMMAND [OPTIONS]"
    intro = (made.description or "").partition("\n\ncommands:\n")
    listed = "\n".join(f"- `{name}`: {text}" for name, text in map(_split, intro[2].splitlines()))
    options = table(["Option", "Meaning", "Default"], rows)
    return "\n\n".join(
        ["## aerekos-agent", code(words), paragraph(intro[0]), listed, paragraph(made.epilog or ""), options]
    )


def _split(line: str) -> tuple[str, str]:
    name, _, text = line.strip().partition(" ")
    return name, text.strip()


def _agent_option(action: argparse.Action) -> tuple[str, str, str]:
    default = on_any_machine(str(action.default or ""))
    return codes(action.option_strings), str(action.help or ""), code(default)
