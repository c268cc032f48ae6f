"""Findings in what is stored: services, namespaces and keys. Pure; bodies are as on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from controller.health.finding import Code, Finding, Severity, about
from crds.conditions import ConditionType, Reason
from crds.kind import Kind
from crds.kinds.namespace import NAMESPACE
from crds.kinds.service import SERVICE
from crds.managed import ManagedService
from crds.meta import ObjectKey
from crds.phases import ServicePhase

Body = Mapping[str, Any]
HOME = "default"
"""The namespace of the built-in services."""
STUCK_AFTER = timedelta(minutes=5)
STARTING_FOR = timedelta(minutes=2)
"""So long a service that starts or is updated needs nobody."""
_ON_ITS_WAY = (ServicePhase.PENDING, ServicePhase.STARTING, ServicePhase.UPDATING)


def of_services(services: Sequence[Body], managed: Sequence[ManagedService], now: datetime) -> Iterator[Finding]:
    """Built-in services that are missing or off, and every service that is not as its spec wants it."""
    yield from _missing(services, managed)
    wanted = {need for each in services if _wants(each) for need in _needs(each, managed)}
    for each in services:
        yield from _of_service(each, wanted, now)


def _missing(services: Sequence[Body], managed: Sequence[ManagedService]) -> Iterator[Finding]:
    there = {each["metadata"]["name"] for each in services if each["metadata"].get("namespace") == HOME}
    for each in managed:
        if each.starts_enabled and each.service_name not in there:
            key, text = SERVICE.key(each.service_name, HOME), f"{each.service_name} is missing: {each.summary}"
            # Made by the dashboard's catalog, or by applying what is printed here.
            fix = f"aerekos apply -f - <<< '{_document(each)}'"
            yield about("critical", Code.BUILT_IN_SERVICE_MISSING, SERVICE, key, text, fix)


def _document(service: ManagedService) -> str:
    meta = f"{{name: {service.service_name}, namespace: {HOME}}}"
    spec = ", ".join(f"{key}: {value}" for key, value in service.default_spec.items())
    return f"{{apiVersion: {SERVICE.api_version}, kind: Service, metadata: {meta}, spec: {{{spec}}}}}"


def _of_service(service: Body, wanted: set[str], now: datetime) -> Iterator[Finding]:
    meta, spec, status = service["metadata"], service.get("spec", {}), service.get("status", {})
    name, built_in, key = meta["name"], bool(spec.get("managed")), _key(SERVICE, service)
    if not _wants(service):
        if built_in:
            yield _disabled(service, key, needed=name in wanted)
        return
    on_demand = spec.get("activation") == "onDemand"
    if on_demand and status.get("phase") == ServicePhase.SCALED_TO_ZERO:
        return
    if not (_is_fresh(service) and _status_of(status, ConditionType.READY) == "True"):
        why = _words(status, ConditionType.READY) or status.get("phase") or "not looked at yet"
        code = Code.BUILT_IN_SERVICE_NOT_READY if built_in else Code.SERVICE_NOT_READY
        # Containers of people must not make the whole cloud look broken, nor a start what needs somebody.
        own: Severity = "info" if _is_starting(service, now) else "warning"
        severity: Severity = "critical" if built_in and not (on_demand and own == "info") else own
        yield about(severity, code, SERVICE, key, f"{name} is not ready: {why}", _fix(service))
    elif _status_of(status, ConditionType.DEGRADED) == "True":
        text = f"{name} {_words(status, ConditionType.DEGRADED)}"
        yield about(
            "warning", Code.SERVICE_DEGRADED, SERVICE, key, text, f"aerekos describe service {name}{_in(meta)}"
        )


def _fix(service: Body) -> str:
    meta = service["metadata"]
    if _condition(service.get("status", {}), ConditionType.READY).get("reason") == Reason.ENGINE_MISSING:
        return "run that command there, as root; it starts by itself then"
    return f"aerekos logs {meta['name']}{_in(meta)}; aerekos describe service {meta['name']}{_in(meta)}"


def _is_starting(service: Body, now: datetime) -> bool:
    """Whether it was made, changed or lost its readiness a moment ago, and nothing of it has failed."""
    status = service.get("status", {})
    if status.get("phase") not in (None, *_ON_ITS_WAY):
        return False
    since = _condition(status, ConditionType.READY).get("lastTransitionTime") or service["metadata"].get(
        "creationTimestamp"
    )
    return bool(since) and now - datetime.fromisoformat(since) < STARTING_FOR


def _disabled(service: Body, key: ObjectKey, *, needed: bool) -> Finding:
    if service.get("spec", {}).get("enabled", True):
        how, fix = "scaled to zero", f"aerekos scale {key.name} --replicas 1{_in(service['metadata'])}"
    else:
        patch = """'{"spec":{"enabled":true}}'"""
        command = f"kubectl patch services.aerekos.cloud {key.name} -n {key.namespace} --type merge -p {patch}"
        how, fix = "switched off", f"enable it in the dashboard, or: {command}"
    text = f"{key.name} is {how}" + (", and other services need it" if needed else "")
    return about("critical" if needed else "warning", Code.BUILT_IN_SERVICE_DISABLED, SERVICE, key, text, fix)


def _wants(service: Body) -> bool:
    spec = service.get("spec", {})
    return bool(spec.get("enabled", True) and spec.get("replicas", 1))


def _needs(service: Body, managed: Sequence[ManagedService]) -> Iterator[str]:
    spec = service.get("spec", {})
    yield from spec.get("needs") or ()
    for each in managed:
        if each.name == spec.get("managed"):
            yield from (need.replace("_", "-") for need in each.needs)


def of_namespaces(namespaces: Iterable[Body], now: datetime) -> Iterator[Finding]:
    """Namespaces that should have been gone minutes ago."""
    for each in namespaces:
        marked = each["metadata"].get("deletionTimestamp")
        if not marked or now - datetime.fromisoformat(marked) < STUCK_AFTER:
            continue
        name = each["metadata"]["name"]
        why = _words(each.get("status", {}), ConditionType.RECONCILED) or "nobody says why"
        text = f"namespace {name} has been terminating since {marked}: {why}"
        fix = f"remove what is named there, or see what is inside: aerekos get all -n {name}"
        yield about("warning", Code.NAMESPACE_TERMINATING, NAMESPACE, _key(NAMESPACE, each), text, fix)


def of_keys(kind: Kind[Any], keys: Iterable[Body]) -> Iterator[Finding]:
    """Keys that are about to go, and with them all they sealed."""
    for each in keys:
        status = each.get("status", {})
        if status.get("keyState") != "PendingDeletion":
            continue
        name, date = each["metadata"]["name"], str(status.get("deletionDate") or "soon")
        text = f"key {name} will be deleted ({date}): what it encrypted is lost for good then"
        fix = f"to keep it: aws kms cancel-key-deletion --key-id {name}"
        yield about("warning", Code.KEY_PENDING_DELETION, kind, _key(kind, each), text, fix)


def of_buckets(kind: Kind[Any], buckets: Iterable[Body]) -> Iterator[Finding]:
    """Buckets whose keys are gone, or whose data is damaged, as their service says."""
    for each in buckets:
        if _status_of(each.get("status", {}), "DataIntact") == "False":
            text = f"bucket {each['metadata']['name']}: {_words(each.get('status', {}), 'DataIntact')}"
            fix = "write those objects again, or put back a backup; then have a look at the disk: smartctl -a"
            yield about("critical", Code.BUCKET_DATA_DAMAGED, kind, _key(kind, each), text, fix)
        if _status_of(each.get("status", {}), "KeysUsable") != "False":
            continue
        name = each["metadata"]["name"]
        text = f"bucket {name}: {_words(each.get('status', {}), 'KeysUsable')}"
        patch = """'{"spec":{"encryption":{"key":null}}}'"""
        command = f"kubectl patch bucket {name} -n {each['metadata'].get('namespace', HOME)} --type merge -p {patch}"
        fix = f"put back a backup of store/ and secrets/ that has the key; a new key for what comes next: {command}"
        yield about("critical", Code.BUCKET_KEY_LOST, kind, _key(kind, each), text, fix)


def _key(kind: Kind[Any], body: Body) -> ObjectKey:
    return kind.key(body["metadata"]["name"], body["metadata"].get("namespace", ""))


def _in(meta: Body) -> str:
    return "" if meta.get("namespace", HOME) == HOME else f" -n {meta['namespace']}"


def _is_fresh(resource: Body) -> bool:
    return bool(resource.get("status", {}).get("observedGeneration") == resource["metadata"].get("generation"))


def _condition(status: Body, kind: str) -> Body:
    return next((each for each in status.get("conditions") or () if each.get("type") == kind), {})


def _status_of(status: Body, kind: str) -> str:
    return str(_condition(status, kind).get("status", ""))


def _words(status: Body, kind: str) -> str:
    known = _condition(status, kind)
    return str(known.get("message") or known.get("reason") or "")
