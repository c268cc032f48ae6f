"""Managed services: one folder each. AEREKOS_SERVICES_PATH names more folders that hold some, as PATH does."""

from __future__ import annotations

import os

__path__ = [*__path__, *filter(None, os.environ.get("AEREKOS_SERVICES_PATH", "").split(os.pathsep))]
