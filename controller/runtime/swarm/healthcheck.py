"""A Probe as Docker asks it: a command inside the container. Pure.

Docker knows one question. Its first yes makes a copy Ready, too many noes get it replaced, so it is the liveness
probe; without one, the readiness probe.
"""

from __future__ import annotations

import shlex
from typing import Any

from crds.probes import Probe, Probes

SECOND = 1_000_000_000
# Docker refuses anything quicker than a millisecond, and a container takes this long to be asked at all.
SHORTEST_PERIOD_SECONDS = 0.1
START_SECONDS = 30.0


def healthcheck(probes: Probes, port: int, start_seconds: float = START_SECONDS) -> dict[str, Any]:
    """Docker's HealthConfig. Without probes none is asked, not even the image's own."""
    probe = probes.liveness or probes.readiness
    if probe is None:
        return {"Test": ["NONE"]}
    return {
        "Test": _question(probe, port),
        "Interval": int(max(probe.period_seconds, SHORTEST_PERIOD_SECONDS) * SECOND),
        "Timeout": int(probe.timeout_seconds * SECOND),
        "Retries": probe.failure_threshold,
        "StartPeriod": int(_start_seconds(probes, start_seconds) * SECOND),
    }


def _start_seconds(probes: Probes, start_seconds: float) -> float:
    """Noes before that do not count: as long as a start may take."""
    asked = [each for each in (probes.liveness, probes.readiness) if each is not None]
    return max(each.initial_delay_seconds for each in asked) + start_seconds


def _question(probe: Probe, port: int) -> list[str]:
    if probe.exec is not None:
        return ["CMD", *probe.exec.command]
    seconds = max(1, round(probe.timeout_seconds))
    if probe.http_get is not None:
        scheme = probe.http_get.scheme.lower()
        url = shlex.quote(f"{scheme}://127.0.0.1:{probe.http_get.port or port}{probe.http_get.path}")
        return ["CMD-SHELL", _first_tool_of(_https(url, seconds) if scheme == "https" else _http(url, seconds))]
    asked = (probe.tcp_socket.port if probe.tcp_socket else None) or port
    return ["CMD-SHELL", _first_tool_of(_tcp(asked, seconds))]


def _http(url: str, seconds: int) -> dict[str, str]:
    python = f"import urllib.request as r; r.urlopen('$u', timeout={seconds})"
    return {
        "wget": f"wget -q -T {seconds} -O /dev/null {url}",
        "curl": f"curl -fsS -m {seconds} -o /dev/null {url}",
        "python3": f'u={url}; python3 -c "{python}"',
    }


def _https(url: str, seconds: int) -> dict[str, str]:
    """Whose certificate it is does not matter to a probe. Not every wget knows TLS: it is asked last."""
    context = "s._create_unverified_context()"
    python = f"import ssl as s, urllib.request as r; r.urlopen('$u', timeout={seconds}, context={context})"
    return {
        "python3": f'u={url}; python3 -c "{python}"',
        "curl": f"curl -kfsS -m {seconds} -o /dev/null {url}",
        "wget": f"wget -q --no-check-certificate -T {seconds} -O /dev/null {url}",
    }


def _tcp(port: int, seconds: int) -> dict[str, str]:
    python = f"import socket; socket.create_connection(('127.0.0.1', {port}), {seconds})"
    return {"nc": f"nc -z -w {seconds} 127.0.0.1 {port}", "python3": f'python3 -c "{python}"'}


def _first_tool_of(commands: dict[str, str]) -> str:
    """An image has one of these tools or another; one without any cannot be asked, and is believed."""
    tries = [f"if command -v {tool} >/dev/null; then {command} || exit 1" for tool, command in commands.items()]
    return f"{'; el'.join(tries)}; fi"
