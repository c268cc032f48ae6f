"""The plan: the next safe steps from observed to desired. Pure; an empty plan means converged.

Never takes a ready outdated instance down while another wanted one is not ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.runtime.driver import ObservedInstance, Workload
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey
from crds.phases import InstancePhase


@dataclass(frozen=True, slots=True)
class StartInstance:
    """There is none of that name: start one."""

    name: str


@dataclass(frozen=True, slots=True)
class StopInstance:
    """Let it end; a later plan starts its successor if one is wanted."""

    name: str
    because: str


Step = StartInstance | StopInstance


def base_name(key: ObjectKey) -> str:
    """`web`, or `payments.web` outside the namespace `default`."""
    return key.name if key.namespace in ("", "default") else f"{key.namespace}.{key.name}"


def instance_name(key: ObjectKey, index: int) -> str:
    """`web-0`."""
    return f"{base_name(key)}-{index}"


def key_of(name: str) -> ObjectKey:
    """The Service that an instance of that name belongs to."""
    namespace, _, service = name.rpartition("-")[0].rpartition(".")
    return SERVICE.key(service, namespace)


def index_of(name: str) -> int:
    """The number at the end of an instance's name."""
    return int(name.rpartition("-")[2])


def plan(wanted: Workload, seen: Sequence[ObservedInstance]) -> list[Step]:
    """Stops of the surplus (highest first), starts of the missing, then the rollout's next step."""
    names = [instance_name(wanted.key, index) for index in range(wanted.replicas)]
    there = {each.name: each for each in seen}
    steps: list[Step] = [*_surplus(names, seen)]
    steps += [StartInstance(name) for name in names if name not in there]
    return steps + _rollout(wanted.revision, [there[name] for name in names if name in there], len(names))


def _surplus(names: Sequence[str], seen: Sequence[ObservedInstance]) -> list[StopInstance]:
    too_many = [each.name for each in seen if each.name not in names and each.phase != InstancePhase.STOPPING]
    return [StopInstance(name, "scaled down") for name in sorted(too_many, key=index_of, reverse=True)]


def _rollout(revision: str, kept: Sequence[ObservedInstance], wanted: int) -> list[Step]:
    outdated = [each for each in kept if each.revision != revision and each.phase != InstancePhase.STOPPING]
    broken = [each for each in outdated if not each.ready]
    if broken:  # they serve nobody: replacing them costs nothing
        return [StopInstance(each.name, f"replaced by revision {revision}") for each in broken]
    all_ready = len(kept) == wanted and all(each.ready and each.phase != InstancePhase.STOPPING for each in kept)
    if not outdated or not all_ready:
        return []
    last = max(outdated, key=lambda each: index_of(each.name))
    return [StopInstance(last.name, f"replaced by revision {revision}")]
