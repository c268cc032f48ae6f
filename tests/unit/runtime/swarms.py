"""Tasks, nodes and services as Docker tells them. Shared by the tests of the swarm driver's decisions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from controller.runtime.driver import Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.naming import Cloud
from controller.runtime.swarm.snapshot import SwarmSnapshot
from crds.meta import ObjectKey

KEY = ObjectKey("aerekos.cloud", "services", "default", "web")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
READY: dict[str, Any] = {"Status": {"State": "ready"}, "Spec": {"Availability": "active"}}
NODES = {f"n{n}": {"ID": f"n{n}", "Description": {"Hostname": f"node-{n}"}, **READY} for n in (1, 2, 3)}


def task(
    slot: int, node: str = "n1", state: str = "running", desired: str = "running", **more: Any
) -> dict[str, Any]:
    at = f"{NOW.isoformat().removesuffix('+00:00')}Z"
    labels = {
        naming.NAME: "web",
        naming.NAMESPACE: "default",
        naming.REVISION: more.pop("revision", "one"),
        naming.PORT: "80",
    }
    status = {
        "State": state,
        "Timestamp": more.pop("since", at),
        **({"Err": more.pop("error")} if "error" in more else {}),
    }
    made = {
        "ID": more.pop("id", f"{slot}-{node}-{state}"),
        "Slot": slot,
        "NodeID": node,
        "DesiredState": desired,
        "CreatedAt": more.pop("created", at),
        "Status": status,
        "Spec": {"ContainerSpec": {"Labels": labels}},
    }
    return {**made, **more}


def workload(**more: Any) -> Workload:
    return Workload(KEY, "uid", "one", more.pop("replicas", 2), image="x:1", **more)


SERVICE = {"ID": "s", "Spec": {"Labels": naming.labels(Cloud(), KEY, "uid"), "Mode": {"Replicated": {"Replicas": 1}}}}


def look(*tasks: dict[str, Any]) -> SwarmSnapshot:
    return SwarmSnapshot({KEY: SERVICE}, {KEY: tasks}, NODES)
