"""People's own programs: which walls they need to run at all, and what they are told. Pure.

They share the machine's network, so a copy listens where it is told: `PORT` is its first port, `AEREKOS_PORT_<NAME>`
the one of that name, and `HOST` the address, which is this machine alone unless the first port is published.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from controller.kit.libraries import library_path
from controller.runtime.driver import Port, Workload
from controller.runtime.sandbox import interpreter
from controller.runtime.sandbox.abilities import Abilities
from crds.kinds.service_programs import WORKING_FOLDER, port_variable
from crds.probes import Probe

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - only where a port is published
BINDS_KNOWN, SIGNALS_KNOWN = 4, 6
MOST_FILE_BYTES = 16 * 2**20
_INHERITED = ("LANG", "LC_ALL", "TZ")
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
Ports = Mapping[int, int]
"""Where a copy really listens, by the port its Service names."""


def missing_walls(able: Abilities, *, root: bool) -> str:
    """What this machine lacks to run a program of people, in words; empty when it can.

    A program must not have more than a container would: no file of others, no signal to others, no port but its own.
    """
    if root and not able.users:
        return f"a user of its own for each Service ({'; '.join(able.lacking) or 'it could not be tried'})"
    if not able.view:
        return "a view of the files without those of others: user namespaces, or a conductor that is run as root"
    if not able.seccomp:
        return f"a system call filter for {os.uname().machine}"
    needed = BINDS_KNOWN if able.users else SIGNALS_KNOWN
    if able.landlock >= needed:
        return ""
    linux = "6.7" if able.users else "6.12, or 6.7 with a conductor that is run as root"
    return f"Landlock {needed} (Linux {linux}, and lsm= must name it; here it is {able.landlock or 'absent'})"


def outer_environment() -> dict[str, str]:
    """Environment of what starts a program before its walls stand, as the conductor's user: nothing that anybody
    chose.
    """
    return {"PATH": interpreter.search_path(), **library_path()}


def environment(workload: Workload, instance: str, ports: Ports) -> dict[str, str]:
    """All of it: what is given, what its Service says, and last what we promise."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = {"PATH": interpreter.search_path(), "HOME": WORKING_FOLDER, "TMPDIR": "/tmp"}  # noqa: S108 - in its own view
    promised = {
        "AEREKOS_INSTANCE": instance,
        "AEREKOS_SERVICE": workload.key.name,
        "AEREKOS_NAMESPACE": workload.key.namespace,
        **_told(workload.ports, ports),
    }
    return {**inherited, **library_path(), **own, **workload.env, **workload.secret_env, **promised}


def _told(declared: Sequence[Port], ports: Ports) -> dict[str, str]:
    if not declared:
        return {}
    named = {port_variable(each.name): str(ports[each.port]) for each in declared if each.name}
    host = EVERYWHERE if declared[0].published else LOOPBACK
    return {"PORT": str(ports[declared[0].port]), "HOST": host, **named}


def expanded(words: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """`$(NAME)` is the value of that variable and `$$` a plain `$`, as in a container's command of Kubernetes; what
    names no variable stays as it is.
    """

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] is None else env.get(found[1], found[0])

    return tuple(_REFERENCE.sub(value, each) for each in words)


def where_it_is(probe: Probe, ports: Ports, first: int) -> tuple[Probe, int]:
    """The probe without a port, and the port the copy really has for the one it names; `first` when it names none."""
    for field in ("http_get", "tcp_socket"):
        question = getattr(probe, field)
        if question is not None and question.port in ports:
            asked = probe.model_copy(update={field: question.model_copy(update={"port": None})})
            return asked, ports[question.port]
    return probe, first
