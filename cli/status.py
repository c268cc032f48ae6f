"""`aerekos status`: the whole cloud at one glance. Looking is separate from showing.

Whether it is well is the conductor's own report (`controller.health`), which `/ready` goes by too.
"""

from __future__ import annotations

from typing import Any

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.tables import grid
from controller.health.machine import human
from controller.main.errors import Misuse, UserError
from crds.conditions import ConditionType
from crds.phases import ServicePhase, WorkerPhase

_GROUP = "/apis/aerekos.cloud/v1"
NOT_WELL = "NotWell"
FAIL_ON = ("critical", "warning", "info")
UNREACHABLE: dict[str, Any] = {
    **{"ready": False, "verdict": "Unreachable", "summary": "", "name": "", "url": "", "version": ""},
    **{"workers": [], "services": [], "findings": []},
}
# What passes by itself after a start; everything else stays until somebody mends it.
_STARTING = frozenset({"ConductorStarting", "NoWorkerReady", "BuiltInServiceNotReady"})


def look(api: ApiClient) -> dict[str, Any]:
    """The document that `-o json` prints. `ready`: nothing of what was found is critical."""
    leases = {each["worker"]: each for each in _leases(api)}
    workers = [_worker(each, leases) for each in api.get(f"{_GROUP}/workers")["items"]]
    services = [_service(each) for each in api.get(f"{_GROUP}/services")["items"]]
    report = api.get("/health/report")
    return {
        "ready": report["verdict"] != NOT_WELL,
        "verdict": report["verdict"],
        "summary": report["summary"],
        "name": _name(api),
        "url": api.server,
        "version": _version(api),
        "workers": workers,
        "services": services,
        "findings": report["findings"],
    }


def waiting_for(seen: dict[str, Any]) -> str:
    """What a cloud that is starting still waits for; empty when it has started, whatever else is wrong. A store that
    takes nothing is why nothing starts.
    """
    told = {each["code"]: each["message"] for each in reversed(seen["findings"])}
    waited = next((each["message"] for each in seen["findings"] if each["code"] in _STARTING), "")
    return waited and told.get("StoreReadOnly", waited)


def fails(seen: dict[str, Any], from_on: str) -> bool:
    """Whether something was found that is as bad as `from_on`."""
    wanted = FAIL_ON[: FAIL_ON.index(from_on) + 1]
    return any(each["severity"] in wanted for each in seen["findings"])


def require_severity(name: str) -> None:
    """Raises Misuse for a word that is none."""
    if name not in FAIL_ON:
        raise Misuse(f"--fail-on {name} is not known", hint=f"one of {', '.join(FAIL_ON)}")


def headline(seen: dict[str, Any]) -> str:
    """The cloud's name where it has one, the URL, and the verdict in the report's words."""
    named = f"{seen['name']}   " if seen["name"] else ""
    return f"{named}{seen['url']}   {'ready; ' if seen['ready'] else ''}{seen['summary']}"


def render_findings(seen: dict[str, Any]) -> str:
    """One line each, and the fix below it; empty when there is none."""
    lines: list[str] = []
    for each in seen["findings"]:
        lines.append(f"{each['severity']:<9} {each['code']}: {each['message']}")
        lines += [f"{'':<9} try: {each['fix']}"] if each["fix"] else []
    return "\n".join(lines)


def render_all(seen: dict[str, Any]) -> str:
    """The verdict, what was found, and the tables."""
    return "\n\n".join(part for part in (headline(seen), render_findings(seen), render(seen)) if part)


def render(seen: dict[str, Any]) -> str:
    """Two tables for people."""
    workers = [
        [
            each["name"],
            WorkerPhase.READY if each["ready"] else each["phase"],
            _share(each["cpu"], cores=True),
            _share(each["memory"]),
            _share(each["disk"]),
        ]
        for each in seen["workers"]
    ]
    services = [
        [_named(each), each["replicas"], each["phase"], each["because"] if each["wanted"] else ""]
        for each in seen["services"]
    ]
    return "\n".join(
        [
            grid(["WORKER", "STATUS", "CPU", "MEMORY", "DISK"], workers) if workers else "no worker",
            "",
            grid(["SERVICE", "READY", "STATUS", "WHY"], services) if services else "no service",
        ]
    )


def _named(service: dict[str, Any]) -> str:
    return str(service["name"] if service["namespace"] == "default" else f"{service['namespace']}/{service['name']}")


def _worker(resource: dict[str, Any], leases: dict[str, Any]) -> dict[str, Any]:
    name, status = resource["metadata"]["name"], resource.get("status", {})
    usage = (leases.get(name) or {}).get("usage") or status.get("usage") or {}
    capacity = status.get("capacity") or {}
    amounts = {
        part: {"used": amount(usage.get(part)), "total": amount(capacity.get(part))}
        for part in ("cpu", "memory", "disk")
    }
    return {
        "name": name,
        "ready": condition(status, ConditionType.READY) == "True",
        "phase": status.get("phase", WorkerPhase.UNKNOWN),
        **amounts,
    }


def _service(resource: dict[str, Any]) -> dict[str, Any]:
    meta, spec, status = resource["metadata"], resource["spec"], resource.get("status", {})
    fresh = status.get("observedGeneration") == meta.get("generation")
    return {
        "name": meta["name"],
        "namespace": meta.get("namespace", ""),
        "managed": spec.get("managed", ""),
        "enabled": spec.get("enabled", True),
        "wanted": spec.get("replicas", 1) if spec.get("enabled", True) else 0,
        "isReady": fresh and condition(status, ConditionType.READY) == "True",
        "replicas": status.get("ready", "0/0"),
        "phase": status.get("phase", ServicePhase.PENDING),
        "because": because(status),
    }


def condition(status: dict[str, Any], kind: str) -> str:
    """That condition's status, or an empty text."""
    for each in status.get("conditions") or ():
        if each.get("type") == kind:
            return str(each.get("status", ""))
    return ""


def because(status: dict[str, Any]) -> str:
    """The reason why a service is not ready, in the words of its Ready condition."""
    for each in status.get("conditions") or ():
        if each.get("type") == ConditionType.READY and each.get("status") != "True":
            return str(each.get("message") or each.get("reason") or "")
    return ""


def amount(value: Any) -> float | None:
    """A number, from a plain one or a Kubernetes quantity; None when it is neither."""
    from crds.quantity import parse_quantity

    if value is None or isinstance(value, (int, float)):
        return value
    try:
        return float(parse_quantity(str(value)))
    except ValueError:
        return None


def _share(part: dict[str, Any], *, cores: bool = False) -> str:
    show = (lambda number: f"{number:.3g}") if cores else human
    used, total = (("?" if part[key] is None else show(part[key])) for key in ("used", "total"))
    return f"{used} / {total}"


def _leases(api: ApiClient) -> list[dict[str, Any]]:
    try:
        return list(api.get("/agents/leases").get("leases", []))
    except Refused:
        return []  # who may not list workers sees the coarse numbers of the resources


def _name(api: ApiClient) -> str:
    """What people call this cloud; empty for one that does not say."""
    try:
        return str(api.get("/cloud").get("name", ""))
    except UserError:
        return ""


def _version(api: ApiClient) -> str:
    try:
        answer = api.get("/version")
    except UserError:
        return ""
    return str(answer.get("version") or answer.get("gitVersion") or "")
