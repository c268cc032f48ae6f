"""Pod Security Standards for Services: `privileged`, `baseline` (unless a namespace says otherwise), `restricted`.

Source: kubernetes.io "Pod Security Standards" and "Pod Security Admission". Most of what they forbid a Service cannot
even say: there are no host paths, host namespaces or privileged containers. What is judged here is the rest of it.
Running Services are left alone: a write is refused for what it adds, not for what was there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from controller.admission.request import AdmissionRequest
from controller.store.records import Store
from crds.errors import Cause, Invalid
from crds.kinds.namespace import NAMESPACE
from crds.kinds.service import SERVICE

Level = Literal["privileged", "baseline", "restricted"]
PREFIX = "pod-security.kubernetes.io/"
LEVELS: tuple[Level, ...] = ("privileged", "baseline", "restricted")
MODES = ("enforce", "audit", "warn")
DEFAULT: Level = "baseline"
LOWEST_PORT = 1024
DOCKER_PORTS = frozenset({2375, 2376, 5000})
"""Where tools look for a Docker engine or a registry and believe whoever answers. This cloud's own ports are kept by
the kind itself (`crds.kinds.service_rules`), whatever the profile."""
_CAPABILITIES = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP"}
    | {"SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)


class PodSecurity:
    """Reads the labels of the namespace at every write."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def validate(self, request: AdmissionRequest) -> list[str]:
        if request.kind is NAMESPACE and request.new is not None:
            _check_labels(request)
        if request.kind is not SERVICE or not request.changes_spec or request.new is None:
            return []
        labels, warnings = self._labels(request.key.namespace), []
        for mode in MODES:
            level = level_of(labels, mode)
            known = set(violations((request.old or {}).get("spec") or {}, level))
            found = [each for each in violations(request.new["spec"], level) if each not in known]
            if not found:
                continue
            told = f'violates PodSecurity "{level}:latest": {", ".join(found)}'
            if mode == "enforce":
                how = f"an admin may label the namespace {PREFIX}enforce=privileged" if level == "baseline" else ""
                raise request.refused(told + (f"; {how}" if how else ""))
            if mode == "audit":
                request.annotations[f"{PREFIX}audit-violations"] = f"would {told.replace('violates', 'violate')}"
            else:
                warnings.append(f"would {told.replace('violates', 'violate', 1)}")
        return warnings

    def _labels(self, namespace: str) -> Mapping[str, str]:
        room = self._store.get(NAMESPACE.key(namespace))
        return (room.object["metadata"].get("labels") or {}) if room else {}


def level_of(labels: Mapping[str, str], mode: str) -> Level:
    """What is not understood is taken for the strictest."""
    said = labels.get(f"{PREFIX}{mode}", DEFAULT)
    return next((level for level in LEVELS if level == said), "restricted")


def violations(spec: Mapping[str, Any], level: Level) -> Iterator[str]:
    """What of a Service's spec that level does not allow, in words."""
    if level == "privileged" or spec.get("managed") or not spec:
        return
    yield from _ports(spec, level)
    yield from _context(spec.get("securityContext") or {}, level)
    if level == "restricted" and spec.get("networks"):
        yield f"networks of other namespaces ({', '.join(spec['networks'])})"


def _ports(spec: Mapping[str, Any], level: Level) -> Iterator[str]:
    for port in spec.get("ports") or ():
        number = port.get("published")
        if number and (level == "restricted" or number < LOWEST_PORT or number in DOCKER_PORTS):
            yield f"hostPort (published port {number})"


def _context(context: Mapping[str, Any], level: Level) -> Iterator[str]:
    added = set((context.get("capabilities") or {}).get("add") or ())
    allowed = _CAPABILITIES if level == "baseline" else frozenset({"NET_BIND_SERVICE"})
    if context.get("privileged"):
        yield "privileged (securityContext.privileged=true)"
    if wrong := sorted(added - allowed):
        yield f"non-default capabilities (securityContext.capabilities.add: {', '.join(wrong)})"
    if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
        yield "seccompProfile (securityContext.seccompProfile.type=Unconfined)"
    if level == "restricted":
        if context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
            yield "runAsNonRoot != true (securityContext must not run as root)"
        if context.get("allowPrivilegeEscalation"):
            yield "allowPrivilegeEscalation != false (securityContext.allowPrivilegeEscalation=true)"


def _check_labels(request: AdmissionRequest) -> None:
    labels = (request.new or {})["metadata"].get("labels") or {}
    known = ((request.old or {}).get("metadata") or {}).get("labels") or {}
    for mode in MODES:
        name = f"{PREFIX}{mode}"
        said = labels.get(name)
        if said is not None and said != known.get(name) and said not in LEVELS:
            text = f"Invalid value: {said!r}: must be one of {', '.join(LEVELS)}"
            cause = Cause(f"metadata.labels[{name}]", text)
            raise Invalid(f'Namespace "{request.key.name}" is invalid: {cause.field}: {text}', causes=(cause,))
