"""How servers of databases fail when they are asked something."""

from __future__ import annotations

from services.db_manager.valkey.connection import ValkeyError
from services.sdk.postgres import PostgresError

SERVER_FAULTS = (PostgresError, ValkeyError, OSError, TimeoutError)
