"""The front page of metrics_manager: numbers over time, what they are asked for by, and who is told."""

from __future__ import annotations

from crds.managed import Grant, ManagedService
from services.metrics_manager.kinds import SCRAPE_TARGET

_LOOKED_AFTER = ("get", "list", "watch", "patch", "update")

MANIFEST = ManagedService(
    name="metrics_manager",
    title="Metrics",
    summary="Metrics of the platform and of what runs here, kept and asked by PromQL; alerts, told to people.",
    create="services.metrics_manager.app:create",
    kinds=(SCRAPE_TARGET,),
    grants=(
        Grant("scrapetargets", _LOOKED_AFTER),
        Grant("services/metrics", ("get", "list")),
    ),
    acts=(Grant("scrapetargets", ("list", "create")),),
    keeps_data=True,
    backup="services.metrics_manager.backup:HOOKS",
)
