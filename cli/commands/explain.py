"""The commands that explain access: who-can, can-i, why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.options import Everywhere, Namespace
from cli.completion import complete_users
from cli.output import as_json, as_yaml, say
from controller.main import settings

if TYPE_CHECKING:
    from cli.resources.explain import Asked

Does = Annotated[
    str,
    typer.Argument(metavar="VERB|ACTION", help="A verb (get, create, use), or an action of AWS (kms:Decrypt)."),
]
What = Annotated[
    str,
    typer.Argument(
        help="KIND, or KIND/NAME; for an action of AWS also an ARN. Without one, everything the action is about."
    ),
]
Subresource = Annotated[str, typer.Option(help="A part of the resource, e.g. scale, log or exec.")]
Context = Annotated[
    list[str] | None,
    typer.Option("--condition", help="A condition key of AWS and its value, KEY=VALUE; repeat for more."),
]
ResourcePolicy = Annotated[
    Path | None,
    typer.Option(
        "--resource-policy",
        help="As if the bucket, key or secret had the policy in this file, instead of its own. For admins.",
        exists=True,
        dir_okay=False,
    ),
]
Output = Annotated[str, typer.Option("-o", "--output", help="table, json or yaml.")]


def register(app: typer.Typer) -> None:
    """Make these commands part of `app`."""
    app.command("who-can")(who_can)
    app.command("can-i")(can_i)
    app.command()(why)


def who_can(
    does: Does,
    resource: What = "",
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    subresource: Subresource = "",
    condition: Context = None,
    resource_policy: ResourcePolicy = None,
    output: Output = "table",
) -> None:
    """Show everybody who may do something, and what gives it to them: a role, a policy, a grant. For admins."""
    from cli import api_client
    from cli.resources import explain

    _check(output)
    with api_client.connect(settings.load()) as api:
        found = explain.who_may(
            api, _asked(does, resource, namespace, everywhere, subresource, condition, resource_policy)
        )
    _show(found, output, explain.subjects_table(found) if found["subjects"] else "nobody")


def can_i(
    does: Does,
    resource: What = "",
    user: Annotated[
        str,
        typer.Option(
            "--as",
            help="About somebody else: a user, system:serviceaccount:NAMESPACE:NAME, or an ARN of IAM. For admins.",
            autocompletion=complete_users,
        ),
    ] = "",
    group: Annotated[list[str] | None, typer.Option("--as-group", help="With a group; repeat for more.")] = None,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    subresource: Subresource = "",
    condition: Context = None,
    resource_policy: ResourcePolicy = None,
    output: Output = "table",
) -> None:
    """Ask whether you may do something, and why: what roles say and what policies of IAM say, side by side.

    Ends with 0 for yes and with 1 for no.
    """
    from cli import api_client
    from cli.resources import explain
    from controller.main.errors import REFUSED

    _check(output)
    with api_client.connect(settings.load()) as api:
        asked = _asked(does, resource, namespace, everywhere, subresource, condition, resource_policy)
        found = explain.may(api, asked, user, group or ())
    answer = "yes" if found["allowed"] else "no"
    _show(found, output, f"{answer}: {found['reason']}\n\n{explain.sides(found)}")
    if not found["allowed"]:
        raise typer.Exit(REFUSED)


def why(
    request_id: Annotated[
        str,
        typer.Argument(help="Request id of an answer (X-Request-ID, x-amzn-RequestId); the newest when not given."),
    ] = "",
    output: Output = "table",
) -> None:
    """Show why a request was refused: which statement or missing role decided, and whether it would be by now.

    Refusals are kept for a while, in memory. You see your own; admins see everybody's.
    """
    from cli import api_client
    from cli.resources import explain

    _check(output)
    with api_client.connect(settings.load()) as api:
        found = explain.denials(api, request_id)
    if request_id:
        text = "\n\n".join(explain.denial_text(each) for each in found)
    else:
        text = explain.denials_table(found) if found else "nothing was refused lately"
    _show(found, output, text)


def _asked(
    does: str,
    resource: str,
    namespace: str | None,
    everywhere: bool,
    subresource: str,
    condition: list[str] | None,
    policy: Path | None,
) -> Asked:
    from cli.resources.explain import Asked

    text = policy.read_text(encoding="utf-8") if policy is not None else ""
    return Asked(does, resource, namespace or "default", everywhere, subresource, tuple(condition or ()), text)


def _check(output: str) -> None:
    from controller.main.errors import Misuse

    if output not in ("table", "json", "yaml"):
        raise Misuse(f'"{output}" is no output', hint="-o table, json or yaml")


def _show(found: Any, output: str, text: str) -> None:
    if output == "table":
        say(text)
    else:
        say(as_json(found) if output == "json" else as_yaml(found))
