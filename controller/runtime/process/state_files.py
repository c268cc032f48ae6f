"""One file per running instance: how a later conductor finds what an earlier one started.

A record is on disk before the process may do anything (see spawning). It holds the workload, so that an adopted
instance can be probed before the store was read; a managed service can be restarted from it, too. Readable by its
owner only. Of a damaged record the process is found by the log it writes to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.kit.files import write_private
from controller.runtime.driver import Limits, Port, Workload
from controller.runtime.process.logfiles import log_path
from controller.runtime.process.processes import boot_id, leader_writing_to, start_ticks
from crds.meta import ObjectKey
from crds.model import known_fields
from crds.probes import Probes

# Values and files may be secret; the rest is known again before anything is started anew. (`Instance.take`)
_LEFT_OUT = ("secret_env", "args", "volumes", "files", "networks", "control", "mode", "update", "programs")


VERSION = 1
_WORKLOAD = "wish"  # as the first version called it in its files


@dataclass(frozen=True)
class InstanceRecord:
    """`ticks`: when the process started, in clock ticks since boot; with `boot` it makes a pid unique. `more_ports`:
    where it listens besides `port`, by the ports its Service names.
    """

    instance: str
    pid: int
    ticks: int
    boot: str
    port: int
    started_at: datetime
    workload: Workload
    more_ports: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """Which process a record is of that says nothing else this version understands."""

    instance: str
    pid: int
    ticks: int
    boot: str


def folder(home: Path) -> Path:
    """The folder of the records."""
    return home / "run" / "instances"


def write(home: Path, record: InstanceRecord) -> None:
    """Write the record durably. Raises OSError."""
    workload = asdict(record.workload) | {"key": list(record.workload.key), "probes": record.workload.probes.wire()}
    workload["env"] = dict(record.workload.env)
    for name in _LEFT_OUT:
        del workload[name]
    content = asdict(record) | {"version": VERSION, _WORKLOAD: workload, "started_at": record.started_at.isoformat()}
    del content["workload"]
    write_private(_path(home, record.instance), json.dumps(content, indent=1).encode())


def remove(home: Path, instance: str) -> None:
    """Remove the record; no error when there is none."""
    _path(home, instance).unlink(missing_ok=True)


def read_all(home: Path) -> list[InstanceRecord]:
    """Every record of this boot, by instance. Files of another boot are removed, and those of no process."""
    return [each for each in _files(home).values() if isinstance(each, InstanceRecord)]


def read_unreadable(home: Path) -> list[UnreadableRecord]:
    """Processes of this boot whose records this version can read only so far that it knows which they are."""
    return [each for each in _files(home).values() if isinstance(each, UnreadableRecord)]


def _files(home: Path) -> dict[str, InstanceRecord | UnreadableRecord]:
    found: dict[str, InstanceRecord | UnreadableRecord] = {}
    for path in sorted(folder(home).glob("*.json")):
        record = _read(path) or _found_running(home, path.stem)
        if record is None or record.boot != boot_id() or path != _path(home, record.instance):
            path.unlink(missing_ok=True)
        else:
            found[record.instance] = record
    return found


def _path(home: Path, instance: str) -> Path:
    return folder(home) / f"{instance}.json"


def _read(path: Path) -> InstanceRecord | UnreadableRecord | None:
    try:
        content = json.loads(path.read_bytes())
        identity = UnreadableRecord(
            str(content["instance"]), int(content["pid"]), int(content["ticks"]), content["boot"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    try:
        return InstanceRecord(
            **known_fields(InstanceRecord, content)
            | {
                "started_at": datetime.fromisoformat(content["started_at"]),
                "workload": _workload_of(content[_WORKLOAD]),
                "more_ports": {int(name): port for name, port in content.get("more_ports", {}).items()},
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return identity


def _found_running(home: Path, instance: str) -> UnreadableRecord | None:
    pid = leader_writing_to(log_path(home, instance))
    ticks = start_ticks(pid) if pid is not None else None
    return UnreadableRecord(instance, pid, ticks, boot_id()) if pid is not None and ticks is not None else None


def _workload_of(content: dict[str, Any]) -> Workload:
    content = {name: value for name, value in known_fields(Workload, content).items() if name not in _LEFT_OUT}
    return Workload(
        **content
        | {
            "key": ObjectKey(*content["key"]),
            "command": tuple(content["command"]),
            "workers": tuple(content["workers"]),
            "reads": tuple(content.get("reads", ())),
            "ports": tuple(Port(**known_fields(Port, each)) for each in content.get("ports", ())),
            "limits": Limits(**known_fields(Limits, content["limits"])),
            "probes": Probes.model_validate(content["probes"], extra="ignore"),
        }
    )
