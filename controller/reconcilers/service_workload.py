"""Service → Workload: what the driver is told. Pure but for the interpreter's own path.

The revision names what runs, not how many: replicas and placement are left out, so scaling restarts nothing.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.reconcilers.service_env import Env
from controller.runtime.driver import File, Limits, Port, RolloutPolicy, Volume, Workload
from controller.runtime.engines.finder import FoundEngine
from controller.scheduler.candidate import Needs
from crds.engines import Engine
from crds.kind import key_of
from crds.kinds.service import SERVICE, Service
from crds.managed import ManagedService
from crds.probes import Probe, Probes, TcpSocket


@dataclass(frozen=True)
class RuntimeInputs:
    """Inputs of a workload besides the spec: from the runtime, for managed services from the conductor.

    `image` and `command` replace those of the spec; `control`: it must reach the conductor. `reads`: the conductor's
    files and folders that a process of it may read. `digests`: of their content, which is handed over at the start: a
    change of it is rolled out. `engine`: what was found of the engine; `programs`: folders it must see to run.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    image: str | None = None
    command: tuple[str, ...] | None = None
    control: bool = False
    reads: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    engine: FoundEngine | None = None
    programs: tuple[str, ...] = ()


RESTARTED_AT = "aerekos.cloud/restartedAt"
REVISION_LENGTH = 10
START_SECONDS = 30.0
MANAGED_COMMAND = (sys.executable, "-P", "-m", "services.sdk.run", "{instance}")


def workload(
    service: Service,
    managed: ManagedService | None,
    inputs: RuntimeInputs,
    workers: tuple[str, ...],
    files: tuple[File, ...] = (),
    env: Env | None = None,
) -> Workload:
    """The workload of one Service, whole. The spec's own env may not replace what docs/interfaces.md promises."""
    command = inputs.command or (MANAGED_COMMAND if managed else tuple(service.spec.command))
    env = env or Env({each.name: each.value for each in service.spec.env})
    merged = {**env.plain, **inputs.env, **(_promised_env(managed) if managed else {})}
    probes = _probes(service, managed)
    engine = service.spec.engine.engine if service.spec.engine else None
    limits, files = _limits(service), (*inputs.files, *_live(files, engine, inputs))
    return Workload(
        key=key_of(SERVICE, service),
        uid=service.metadata.uid or "",
        revision=revision(
            service, inputs.image, command, merged, probes, limits, files, {**env.digests, **inputs.digests}
        ),
        replicas=service.spec.replicas,
        command=command,
        args=tuple(service.spec.args),
        image=inputs.image or service.spec.image,
        env=merged,
        secret_env={name: text for name, text in env.secret.items() if name not in merged},
        probes=probes,
        limits=limits,
        stop_grace_seconds=service.spec.stop_grace_seconds,
        workers=workers,
        files=files,
        control=inputs.control,
        reads=inputs.reads,
        mode=service.spec.mode,
        ports=tuple(
            Port(each.port, each.published or 0, each.protocol, each.name or "") for each in service.spec.ports
        ),
        volumes=tuple(Volume(each.name, each.path) for each in service.spec.volumes),
        networks=tuple(service.spec.networks),
        update=_update(service, managed),
        program=service.spec.is_program or (engine is not None and not inputs.image),
        programs=inputs.programs,
        account=engine.account if engine else "",
        reload_signal=engine.reload if engine and not inputs.image else None,
        stop_signal=engine.stop if engine else "SIGTERM",
        start_seconds=engine.start_seconds if engine else START_SECONDS,
    )


def revision(
    service: Service,
    image: str | None,
    command: tuple[str, ...],
    env: Mapping[str, str],
    probes: Probes,
    limits: Limits,
    files: tuple[File, ...],
    secrets: Mapping[str, str] | None = None,
) -> str:
    """Ten hex digits of the SHA-256 of everything whose change must restart the instances."""
    content: dict[str, Any] = {
        "managed": service.spec.managed,
        "image": image or service.spec.image,
        "command": command,
        "env": dict(env),
        "probes": probes.wire(),
        "limits": [limits.cpu, limits.memory],
        "files": [[each.path, _named(each)] for each in files],
        "mode": service.spec.mode,
        "ports": [each.wire() for each in service.spec.ports],
        "volumes": [{"name": each.name, "path": each.path} for each in service.spec.volumes],
        "networks": service.spec.networks,
        "args": service.spec.args,
        "restartedAt": (service.metadata.annotations or {}).get(RESTARTED_AT),
    }
    if service.spec.engine:
        content["engine"] = service.spec.engine.wire()
    if secrets:
        content["secretEnv"] = dict(secrets)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:REVISION_LENGTH]


def _promised_env(managed: ManagedService) -> dict[str, str]:
    """What docs/interfaces.md promises each instance; the driver fills the placeholders."""
    return {
        "AEREKOS_SERVICE": managed.name,
        "AEREKOS_INSTANCE": "{instance}",
        "AEREKOS_LISTEN": "{address}",
        "AEREKOS_DATA": "{data}",
    }


def _live(files: tuple[File, ...], engine: Engine | None, inputs: RuntimeInputs) -> tuple[File, ...]:
    """Configuration that the engine reads again; containers cannot be given other files while they run."""
    if engine is None or engine.reload is None or inputs.image:
        return files
    return tuple(each if each.secret else replace(each, live=True) for each in files)


def _named(file: File) -> str:
    return "live" if file.live else file.digest or hashlib.sha256(file.content).hexdigest()


def is_stateful(service: Service, managed: ManagedService | None) -> bool:
    """Whether its data binds it to the worker it first ran on."""
    return bool(service.spec.volumes) or (managed is not None and managed.keeps_data)


def _probes(service: Service, managed: ManagedService | None) -> Probes:
    """A program or an engine is ready when it answers at its port, unless it says how else to tell."""
    given = service.spec.probes or (managed.probes if managed else Probes())
    mine = service.spec.is_program or service.spec.engine is not None
    if mine and service.spec.ports and given.readiness is None:
        return given.model_copy(update={"readiness": Probe(tcp_socket=TcpSocket(), period_seconds=2)})
    return given


def _update(service: Service, managed: ManagedService | None) -> RolloutPolicy:
    asked = service.spec.update
    shared = is_stateful(service, managed) or any(each.published for each in service.spec.ports)
    # Two of what keeps data would write to the same folder; a manifest knows that better than whoever asks.
    order = "stop-first" if managed and managed.keeps_data else asked.order
    order = order or ("stop-first" if shared else "start-first")
    return RolloutPolicy(order, asked.on_failure, asked.monitor_seconds)


def _limits(service: Service) -> Limits:
    amounts = Needs.of(service.spec.resources.limits)
    return Limits(cpu=amounts.cpu, memory=int(amounts.memory))
