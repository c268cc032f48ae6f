"""Completion in shells: kinds, names and namespaces, asked from the cloud.

Completion is never in the way: a cloud that does not answer at once completes nothing, and nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from cli.api_client import ApiClient

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_AEREKOS_COMPLETE"
_PATIENCE_SECONDS = 3.0
_MOST = 500
Complete = Callable[[typer.Context, str], list[str]]


def prepare() -> None:
    """Lets Typer answer the shells. Its own way to do so adds options to the program; ours is a command."""
    if VARIABLE in os.environ:
        from typer._completion_classes import completion_init

        completion_init()


def _quietly(asking: Callable[[ApiClient, typer.Context, str], Iterable[str]]) -> Complete:
    """`asking` with a connection; what begins as the word typed so far."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        from cli import api_client
        from controller.main import settings

        try:
            with api_client.connect(settings.load()) as api:
                api.client.timeout = _PATIENCE_SECONDS
                found = list(asking(api, ctx, incomplete))
        except Exception:  # whatever it is: a shell that waits for words must not be told of it
            return []
        return [each for each in dict.fromkeys(found) if each.startswith(incomplete)]

    return complete


@_quietly
def complete_namespaces(api: ApiClient, ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Every namespace there is."""
    return _names(api, "/api/v1/namespaces")


@_quietly
def complete_kinds(api: ApiClient, ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Kinds by their plural; after `KIND/`, names of that kind."""
    if "/" in incomplete:
        return _after_slash(api, ctx, incomplete)
    from cli.resources import kinds

    return kinds.discover(api).listed()


@_quietly
def complete_names(api: ApiClient, ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Names of the kind that was typed; the kind itself where none was yet."""
    if "/" in incomplete:
        return _after_slash(api, ctx, incomplete)
    from cli.resources import kinds

    found = kinds.discover(api)
    words = [*filter(None, [ctx.params.get("kinds")]), *(ctx.params.get("resources") or ())]
    if not words:
        return found.listed()
    if "/" in words[0]:
        return []
    return [name for kind in found.meant(words[0]) for name in _names(api, kind.path(_room(ctx)))]


@_quietly
def complete_services(api: ApiClient, ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Services of the namespace."""
    return _service_names(api, ctx, incomplete)


@_quietly
def complete_instances(api: ApiClient, ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Services and their instances."""
    instances = _names(api, f"/api/v1/namespaces/{_room(ctx)}/pods")
    return [*_service_names(api, ctx, incomplete), *instances]


@_quietly
def complete_users(api: ApiClient, ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Every user there is."""
    return _names(api, "/apis/aerekos.cloud/v1/users")


@_quietly
def complete_workers(api: ApiClient, ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Every worker there is."""
    return _names(api, "/apis/aerekos.cloud/v1/workers")


@_quietly
def complete_templates(api: ApiClient, ctx: typer.Context, incomplete: str) -> Iterable[str]:
    """Every template of a Service."""
    return [each["name"] for each in api.get("/templates")["templates"]]


def complete_contexts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Logins that are kept on this machine."""
    from cli.login import contexts
    from controller.main.errors import UserError

    try:
        return [each for each in contexts.known() if each.startswith(incomplete)]
    except UserError:
        return []


def _service_names(api: ApiClient, ctx: typer.Context, incomplete: str) -> list[str]:
    kind, slash, _ = incomplete.rpartition("/")
    return [
        f"{kind}{slash}{each}" for each in _names(api, f"/apis/aerekos.cloud/v1/namespaces/{_room(ctx)}/services")
    ]


def _after_slash(api: ApiClient, ctx: typer.Context, incomplete: str) -> list[str]:
    from cli.resources import kinds

    word = incomplete.partition("/")[0]
    kind = kinds.discover(api).called(word)
    return [f"{word}/{name}" for name in _names(api, kind.path(_room(ctx)))]


def _names(api: ApiClient, path: str) -> list[str]:
    items: list[dict[str, Any]] = api.get(path, params={"limit": str(_MOST)})["items"]
    return [each["metadata"]["name"] for each in items]


def _room(ctx: typer.Context) -> str:
    """The namespace that was typed, after the verb or before it."""
    given = ctx.params.get("namespace") or (ctx.find_root().params.get("namespace"))
    return str(given or "default")


def shell_named(given: str | None) -> str:
    """`given`, else the user's own shell. Raises Misuse for one without completion."""
    from pathlib import Path

    from controller.main.errors import Misuse

    name = given or Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise Misuse(f'the shell "{name}" is not known', hint="give bash, zsh or fish")
    return name


def script(shell: str) -> str:
    """What the shell is to source."""
    from typer._completion_shared import get_completion_script

    return get_completion_script(prog_name="aerekos", complete_var=VARIABLE, shell=shell)


def install(shell: str) -> str:
    """Adds it to the shell's own settings; where."""
    from typer._completion_shared import install as add

    return str(add(shell=shell, prog_name="aerekos", complete_var=VARIABLE)[1])
