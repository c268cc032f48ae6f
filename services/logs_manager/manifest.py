"""The front page of logs_manager: lines of all that runs here, kept, and asked by CloudWatch Logs and Loki."""

from __future__ import annotations

from crds.managed import Grant, ManagedService
from services.logs_manager.kinds import LOG_GROUP

_ALL = ("get", "list", "watch", "create", "update", "patch", "delete")

MANIFEST = ManagedService(
    name="logs_manager",
    title="Logs",
    summary="Log lines of what runs here and of what is sent, kept, over CloudWatch Logs, Loki's API and OTLP.",
    create="services.logs_manager.app:create",
    access_rules="services.logs_manager.access_rules:RULES",
    kinds=(LOG_GROUP,),
    speaks=("logs",),
    grants=(Grant("loggroups", _ALL), Grant("services/log", ("get", "list"))),
    acts=(Grant("loggroups", ("get", "list", "create", "patch", "delete", "use")),),
    keeps_data=True,
    backup="services.logs_manager.backup:HOOKS",
)
