"""Whether the cloud can listen where it was told to, and who is there already when it cannot."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from controller.kit.listening import CannotListen, Why, open_listeners
from controller.main import running_conductor
from controller.main.errors import UserError
from controller.main.gateway_records import read_gateways
from controller.main.settings import Settings, default_home

_STEP, _TRIES = 1000, 50


def require_free_port(settings: Settings, *, besides: int | None = None) -> None:
    """Raises UserError when another program listens there, or the host is not one of this machine. `besides`: a port
    that will be given up first. Gateways that outlived their conductor listen on for the next one.
    """
    if any(each.port == settings.port for each in read_gateways(settings.home)):
        return
    port = 0 if settings.port == besides else settings.port
    try:
        _close(open_listeners(settings.host, port, 1))
    except CannotListen as refused:
        raise _explained(settings, refused) from refused


def _explained(settings: Settings, refused: CannotListen) -> UserError:
    host, port = settings.host, settings.port
    if refused.why in (Why.UNKNOWN_HOST, Why.NOT_OURS):
        return _wrong_host(host, refused)
    another = f"take another: AEREKOS_PORT={_free_port(settings)} aerekos up"
    if refused.why is Why.TAKEN:
        pid = listening_pid(port)
        home = cloud_of(pid) if pid else None
        if home is not None:
            conductor = running_conductor.running(Settings(home))
            which = f"{home} (pid {conductor.pid if conductor else pid})"
            message = f"port {port} of {host} is taken: this is another aerekos cloud of yours: {which}"
            return UserError(message, hint=f"use that one: AEREKOS_HOME={home} aerekos status   or {another}")
        return UserError(f"port {port} of {host} is taken by {_named(pid, port)}", hint=another)
    if refused.why is Why.PRIVILEGED:
        message = f"port {port} of {host} cannot be used: ports below 1024 are root's"
        return UserError(message, hint=f"{another}   or run aerekos as root")
    return UserError(f"port {port} of {host} cannot be used: {refused}", hint=another)


def _wrong_host(host: str, refused: CannotListen) -> UserError:
    own = ", ".join(own_addresses()) or "none but its loopback"
    if host == "::":
        message = "the host :: means IPv4 and IPv6, and this machine has no IPv6"
        return UserError(message, hint="AEREKOS_HOST=0.0.0.0 aerekos up")
    if refused.why is Why.UNKNOWN_HOST:
        message = f"the host {host} is not known ({str(refused).rpartition(': ')[2]})"
    else:
        message = f"the host {host} is no address of this machine; its addresses: {own}"
    return UserError(message, hint="AEREKOS_HOST=localhost for this machine alone, :: for every address of it")


def own_addresses() -> list[str]:
    """Addresses of the interfaces that are up, but the loopback."""
    from agent.collect import addresses

    return addresses()


def _free_port(settings: Settings) -> int:
    """The first one of a few that nobody listens at."""
    for step in range(1, _TRIES):
        port = (settings.port + step * _STEP - 1024) % (65_536 - 1024) + 1024
        try:
            _close(open_listeners(settings.host, port, 1))
        except CannotListen:
            continue
        return port
    return settings.port


def _close(opened: list[socket.socket]) -> None:
    for each in opened:
        each.close()


def listening_pid(port: int) -> int | None:
    """The process that listens at that TCP port. None for those of other users, which only root sees."""
    import psutil

    try:
        found = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return None
    there = (each for each in found if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port)
    return next((each.pid for each in there if each.pid), None)


def cloud_of(pid: int) -> Path | None:
    """The home whose conductor or gateway that process is; None for every other program, and those of other users."""
    for home in _homes_told(pid):
        found = running_conductor.running(Settings(home))
        if pid in {found and found.pid, *(each.pid for each in read_gateways(home))}:
            return home
    return None


def _homes_told(pid: int) -> Iterator[Path]:
    import psutil

    try:
        process = psutil.Process(pid)
        words, env = process.cmdline(), process.environ()
    except (psutil.Error, OSError):
        return
    for at, word in enumerate(words):
        if word == "--home" and at + 1 < len(words):
            yield Path(words[at + 1])
        elif word.startswith("--home="):
            yield Path(word.partition("=")[2])
    if env.get("AEREKOS_HOME"):
        yield Path(env["AEREKOS_HOME"])
    yield default_home({**os.environ, **env})


def _named(pid: int | None, port: int) -> str:
    import psutil

    if pid is None:
        return f"a program of another user (who: sudo ss -ltnp 'sport = :{port}')"
    try:
        process = psutil.Process(pid)
        return f"{process.name()} (pid {pid}, of {process.username()})"
    except (psutil.Error, OSError):
        return f"pid {pid}"
