"""`aerekos status`: the whole cloud at one glance. Looking is separate from showing."""

from __future__ import annotations

from typing import Any

from cli.connecting import Api
from cli.errors import CliError, Refused
from cli.tables import grid

_GROUP = "/apis/aerekos.cloud/v1"


def look(api: Api) -> dict[str, Any]:
    """What `-o json` prints. `ready`: a worker and every managed service that is switched on are.

    Containers of people do not count: one that cannot start must not make the whole cloud look broken.
    """
    leases = {each["worker"]: each for each in _leases(api)}
    workers = [_worker(each, leases) for each in api.get(f"{_GROUP}/workers")["items"]]
    services = [_service(each) for each in api.get(f"{_GROUP}/services")["items"]]
    seen: dict[str, Any] = {
        "ready": False,
        "name": _name(api),
        "url": api.server,
        "version": _version(api),
        "workers": workers,
        "services": services,
    }
    seen["ready"] = not missing(seen) and _conductor_ready(api)
    return seen


def missing(seen: dict[str, Any]) -> str:
    """The first thing that is not as it should be; empty when all is."""
    if not any(worker["ready"] for worker in seen["workers"]):
        return "no worker is ready yet"
    for service in seen["services"]:
        if service["managed"] and service["wanted"] and not service["isReady"]:
            why = service["because"] or service["phase"] or "not seen yet"
            return f"{service['name']} is not ready: {why}"
    return ""


def render(seen: dict[str, Any]) -> str:
    """Two tables for people."""
    workers = [
        [
            each["name"],
            "Ready" if each["ready"] else each["phase"],
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
        "ready": condition(status, "Ready") == "True",
        "phase": status.get("phase", "Unknown"),
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
        "isReady": fresh and condition(status, "Ready") == "True",
        "replicas": status.get("ready", "0/0"),
        "phase": status.get("phase", "Pending"),
        "because": because(status),
    }


def condition(status: dict[str, Any], kind: str) -> str:
    """That condition's status, or an empty text."""
    for each in status.get("conditions") or ():
        if each.get("type") == kind:
            return str(each.get("status", ""))
    return ""


def because(status: dict[str, Any]) -> str:
    """Why it is not ready, in the words of its Ready condition."""
    for each in status.get("conditions") or ():
        if each.get("type") == "Ready" and each.get("status") != "True":
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


def human(number: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(number) < 1024:
            return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.3g} PiB"


def _leases(api: Api) -> list[dict[str, Any]]:
    try:
        return list(api.get("/agents/leases").get("leases", []))
    except Refused:
        return []  # who may not list workers sees the coarse numbers of the resources


def _conductor_ready(api: Api) -> bool:
    try:
        api.send("GET", "/ready")
    except Refused:
        return False
    return True


def _name(api: Api) -> str:
    """What people call this cloud; empty for one that does not say."""
    try:
        return str(api.get("/cloud").get("name", ""))
    except CliError:
        return ""


def _version(api: Api) -> str:
    try:
        answer = api.get("/version")
    except CliError:
        return ""
    return str(answer.get("version") or answer.get("gitVersion") or "")
