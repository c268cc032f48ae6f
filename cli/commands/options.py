"""Arguments and options that several commands take, each with its help and its completion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.completion import complete_instances, complete_kinds, complete_names, complete_namespaces, complete_services

Namespace = Annotated[
    str | None,
    typer.Option("-n", "--namespace", help="Namespace; default when not given.", autocompletion=complete_namespaces),
]
Home = Annotated[Path | None, typer.Option("--home", help="Folder of the cloud [AEREKOS_HOME].")]
Everywhere = Annotated[bool, typer.Option("-A", "--all-namespaces", help="In all namespaces.")]
Kinds = Annotated[
    str,
    typer.Argument(
        help="e.g. services, keys, buckets, workers; several with commas; all; or KIND/NAME.",
        autocompletion=complete_kinds,
    ),
]
Names = Annotated[
    list[str] | None, typer.Argument(help="Names; all of the kind when not given.", autocompletion=complete_names)
]
Resources = Annotated[list[str], typer.Argument(help="KIND NAME..., or KIND/NAME...", autocompletion=complete_names)]
Files = Annotated[list[str] | None, typer.Option("-f", "--filename", help="File, folder, or - for stdin.")]
Labels = Annotated[str, typer.Option("-l", "--selector", help="Labels, e.g. team=blue,tier!=db.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Service = Annotated[str, typer.Argument(help="Service, or service/NAME.", autocompletion=complete_services)]
ServiceOrInstance = Annotated[
    str,
    typer.Argument(
        help="Service, or one of its instances as `get pods` shows it.", autocompletion=complete_instances
    ),
]
At = Annotated[
    str, typer.Option("--at", help="As it was then: a revision, a time, or how long ago, e.g. 15m, 2h, 3d.")
]
