"""Matching of writes with policies (Kubernetes MatchResources). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.admission.request import AdmissionRequest, Body
from crds.kinds.namespace import NAMESPACE
from crds.kinds.selector import selects


def matches(constraints: Mapping[str, Any], request: AdmissionRequest, namespace: Body | None) -> bool:
    """Whether that write is meant. `namespace`: the one it is in, if any."""
    rules, excluded = constraints.get("resourceRules"), constraints.get("excludeResourceRules") or ()
    if any(_means(rule, request) for rule in excluded):
        return False
    if rules and not any(_means(rule, request) for rule in rules):
        return False
    return _in_namespace(constraints, request, namespace) and _labelled(constraints, request)


def _in_namespace(constraints: Mapping[str, Any], request: AdmissionRequest, namespace: Body | None) -> bool:
    selector = constraints.get("namespaceSelector")
    if not selector:
        return True
    itself = (request.new or request.old) if request.kind is NAMESPACE else namespace
    if itself is None:  # what lives in no namespace is never left out by it
        return True
    return selects(selector, itself["metadata"].get("labels") or {})


def _labelled(constraints: Mapping[str, Any], request: AdmissionRequest) -> bool:
    """The object as it was, or as it will be."""
    selector = constraints.get("objectSelector")
    if not selector:
        return True
    sides = [each for each in (request.old, request.new) if each is not None]
    return any(selects(selector, (each.get("metadata") or {}).get("labels") or {}) for each in sides)


def _means(rule: Mapping[str, Any], request: AdmissionRequest) -> bool:
    kind, names = request.kind, rule.get("resourceNames")
    scope = rule.get("scope", "*")
    return (
        _among(request.operation, rule["operations"])
        and _among(kind.group, rule["apiGroups"])
        and any(_among(each, rule["apiVersions"]) for each in (kind.version, *kind.all_versions))
        and (scope == "*" or (scope == "Namespaced") == kind.namespaced)
        and (not names or request.key.name in names)
        and any(_resource(each, kind.plural, request.subresource) for each in rule["resources"])
    )


def _among(value: str, wanted: Any) -> bool:
    return "*" in wanted or value in wanted


def _resource(pattern: str, plural: str, sub: str) -> bool:
    """`*` means every resource but no part of one; `*/*` both."""
    name, slash, part = pattern.partition("/")
    if pattern == "*/*":
        return True
    return name in ("*", plural) and (part in ("*", sub) if slash else not sub)
