"""A conductor for pictures: the real API and the real store; Services labelled `demo`, and who asks them, are told.

Started by `demo_data.py` as `python demo_cloud.py`, with AEREKOS_HOME and AEREKOS_PORT set; runs until SIGTERM.
Forty services as real processes would measure the machine that takes the pictures instead of showing the dashboard.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from demo_data import SERVICES, TROUBLE, status_of

from api.traffic import Traffic
from cli.main import main
from controller.reconcile.outcome import Outcome, done
from controller.reconcilers.service import ServiceReconciler
from crds.kinds.service import ServiceStatus

_really = ServiceReconciler.reconcile
_counted = Traffic.told
_BEGAN = time.monotonic()
_RUNNING = {name for name in SERVICES if TROUBLE.get(name, ("Ready",))[0] in ("Ready", "Updating", "Degraded")}


async def _told(self: ServiceReconciler, resource: Any, world: Any) -> Outcome:
    if "demo" in (resource.metadata.labels or {}):
        # In the conductor's own name: nobody else may write what was seen.
        resource.status = ServiceStatus.model_validate(status_of(resource.metadata.name, resource.spec.replicas))
        return done()
    return await _really(self, resource, world)


def _pairs() -> dict[tuple[str, str], float]:
    """Who asks whom, and how often a second: people the outermost services, those what they need."""
    needed = {need for _, _, needs in SERVICES.values() for need in needs}
    outside = {("", name): 0.7 + len(name) % 7 * 3.1 for name in _RUNNING - needed}
    inside = {
        (name, need): 0.4 + (len(name) * len(need)) % 11 * 1.3
        for name in _RUNNING
        for need in SERVICES[name][2]
        if need in _RUNNING or need == "key-manager"
    }
    return {**outside, **inside}


def _asked(self: Traffic, seen: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    told = _counted(self, seen)
    passed = time.monotonic() - _BEGAN
    for (asker, service), rate in _pairs().items():
        requests = int(rate * (passed + 1.8 * (1 - math.cos(passed / 6 + len(service)))))
        errors = requests // 9 if service in ("crawler-manager", "reports") else 0
        numbers = {"requests": requests, "errors": errors, "seconds": requests * 0.002 * (1 + len(service) % 5)}
        told.append({"from": asker, "to": service, **numbers})
    return told


if __name__ == "__main__":
    Traffic.told = _asked  # type: ignore[method-assign]
    ServiceReconciler.reconcile = _told  # type: ignore[method-assign]
    sys.argv = ["aerekos", "up", "--foreground"]
    main()
