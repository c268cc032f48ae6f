"""`aerekos down`: stops the conductor, then whatever it left behind. Safe to repeat."""

from __future__ import annotations

from cli.output import say
from controller.main import running_conductor
from controller.main.errors import UserError
from controller.main.settings import Settings


def down(settings: Settings, *, timeout: float) -> None:
    """No process of this home lives when this returns."""
    found = running_conductor.running(settings)
    if found:
        willing = running_conductor.stop(found, grace_seconds=timeout)
        how = "stopped" if willing else f"killed, it did not stop within {timeout:g} s"
        say(f"conductor (pid {found.pid}): {how}")
        if found.alive:
            raise UserError(f"process {found.pid} cannot be ended", hint=f"look at it: ps -fp {found.pid}")
    leftovers = _sweep(settings)
    for each in leftovers:
        say(f"left over, ended: {each}")
    (settings.run / "conductor.json").unlink(missing_ok=True)
    if not found and not leftovers:
        say(f"nothing runs in {settings.home}")


def _sweep(settings: Settings) -> list[str]:
    """Ends processes that lost their conductor. What is to be said of them, one line each."""
    from controller.main.gateway_records import stop_gateways

    gateways = [f"gateway (pid {pid})" for pid in stop_gateways(settings.home)]
    return [*gateways, *_sweep_services(settings)]


def _sweep_services(settings: Settings) -> list[str]:
    if not (settings.run / "instances").is_dir():
        return []
    from controller.runtime.process import stop_orphans

    return [str(each) for each in stop_orphans(settings.home) or ()]
