"""A conductor for pictures: the real API and the real store; Services labelled `demo` are told, not run.

Started by `demo_data.py` as `python demo_cloud.py`, with AEREKOS_HOME and AEREKOS_PORT set; runs until SIGTERM.
Forty services as real processes would measure the machine that takes the pictures instead of showing the dashboard.
"""

from __future__ import annotations

import sys
from typing import Any

from cli.main import main
from controller.loop.outcome import Outcome, done
from controller.reconcilers.service import ServiceReconciler

_really = ServiceReconciler.reconcile


async def _told(self: ServiceReconciler, resource: Any, world: Any) -> Outcome:
    if "demo" in (resource.metadata.labels or {}):
        return done()
    return await _really(self, resource, world)


if __name__ == "__main__":
    ServiceReconciler.reconcile = _told  # type: ignore[method-assign]
    sys.argv = ["aerekos", "up", "--foreground"]
    main()
