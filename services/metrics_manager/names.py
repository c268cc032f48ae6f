"""Paths and names of the outside."""

from __future__ import annotations

TARGETS_PATH = "/metrics/targets"
CLOUD_PATH = "/metrics/cloud"
CONDUCTOR_PATH = "/metrics"
PLATFORM_SECONDS = 10.0
"""How often the platform itself is scraped."""
EVALUATION_SECONDS = 5.0


def instance_path(namespace: str, service: str, instance: str) -> str:
    """Where the conductor hands on what an instance tells."""
    return f"/metrics/instances/{namespace}/{service}/{instance}"
