"""Parameters of PostgreSQL that people may set, and the file they become. Pure.

Which names and values a server takes is the server's to say (`pg_settings`); what is refused here is what the cloud
sets itself, and what would break out of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.")
_LONGEST_VALUE = 4096
OURS = frozenset(
    {
        "port",
        "listen_addresses",
        "data_directory",
        "hba_file",
        "ident_file",
        "config_file",
        "external_pid_file",
        "include",
        "include_dir",
        "include_if_exists",
        "unix_socket_directories",
        "dynamic_shared_memory_type",
        "dynamic_library_path",
        "logging_collector",
        "log_destination",
        "log_directory",
        "log_filename",
        "wal_level",
        "hot_standby",
        "password_encryption",
        "primary_conninfo",
        "primary_slot_name",
        "synchronous_standby_names",
        "restore_command",
        "recovery_end_command",
        "archive_mode",
        "archive_command",
        "archive_library",
        "archive_cleanup_command",
        "ssl",
        "data_sync_retry",
        "fsync",
        "full_page_writes",
        "allow_system_table_mods",
        "zero_damaged_pages",
        "ignore_checksum_failure",
        # Each login of ours would wait, and with it whoever else is looked after.
        "pre_auth_delay",
        "post_auth_delay",
    }
)
_OF_MEMBERS = frozenset(
    {"max_slot_wal_keep_size", "max_wal_senders", "max_replication_slots", "recovery_min_apply_delay"}
)
_KEEPS_STRICT = ("on", "remote_apply")
"""Values of synchronous_commit that wait for the disk of another member."""
_OURS_BEGIN = ("ssl_", "krb_", "recovery_target")


def parameter_fault(name: str, value: str) -> str:
    """Why that parameter cannot be set; empty when it can."""
    if not name or not set(name) <= _SIGNS or len(name) > 127:
        return f"{name!r} is no name of a parameter"
    if name in OURS or name.startswith(_OURS_BEGIN):
        return f"{name} is set by the cloud; leave it out"
    if len(value) > _LONGEST_VALUE or not value.isprintable():
        return f"the value of {name} must be one line of at most {_LONGEST_VALUE} characters"
    return ""


def members_fault(name: str, value: str, *, strict: bool) -> str:
    """Why a Database with members cannot have that parameter; empty when it can. `strict`: its durability."""
    if name in _OF_MEMBERS:
        return f"{name} is set by the cloud where there are members; leave it out"
    if strict and name == "synchronous_commit" and value.lower() not in _KEEPS_STRICT:
        return f"{name} must be on or remote_apply with durability strict, or be left out"
    return ""


def configuration(parameters: Mapping[str, str], ours: Mapping[str, str] | None = None) -> str:
    """The text of postgresql.conf. `ours`: what the cloud sets, of names that nobody else may."""
    lines = [
        f"{name} = {_quoted(value)}" for each in (ours or {}, parameters) for name, value in sorted(each.items())
    ]
    return "".join(f"{each}\n" for each in ("# Made of spec.parameters of the Database.", *lines))


def configuration_digest(text: str) -> str:
    """The MD5 of that text: what a server can say of the file it has read."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _quoted(value: str) -> str:
    """As guc-file.l reads it: quotes are doubled, and a backslash begins an escape."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
