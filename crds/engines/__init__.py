"""Engines: programs of others that a Service can run by name (`spec.engine`). Pure: what is known of each of them.

One module for each engine. How a program is found on a machine is in `controller.runtime.engines`.
"""

from __future__ import annotations

from crds.engines.engine import CONFIG_FOLDER, SECRETS_FOLDER, SUPERUSER_FILE, Engine
from crds.engines.haproxy import HAPROXY
from crds.engines.postgresql import POSTGRESQL
from crds.engines.valkey import VALKEY

ENGINES = {each.name: each for each in (HAPROXY, POSTGRESQL, VALKEY)}

__all__ = ["CONFIG_FOLDER", "ENGINES", "SECRETS_FOLDER", "SUPERUSER_FILE", "Engine"]
