"""SubjectAccessReview, TokenReview and their kin: asking over the wire who somebody is and what they may.

Source: Kubernetes authorization.k8s.io/v1 and authentication.k8s.io/v1. Nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from api.auth.authorizer import Action, Authorizer
from api.auth.principal import AUTHENTICATED, Principal
from api.auth.rules import Rule
from api.auth.tokens import API_AUDIENCE
from crds.errors import BadRequest, Forbidden, Invalid, NotFound, Unauthorized

PREFIXES = (
    "/apis/authorization.k8s.io/v1/",
    "/apis/authentication.k8s.io/v1/",
    "/apis/authentication.k8s.io/v1beta1/",  # where kubectl 1.27 asks who it is
)
_KINDS = {
    "selfsubjectaccessreviews": "SelfSubjectAccessReview",
    "subjectaccessreviews": "SubjectAccessReview",
    "localsubjectaccessreviews": "LocalSubjectAccessReview",
    "selfsubjectrulesreviews": "SelfSubjectRulesReview",
    "selfsubjectreviews": "SelfSubjectReview",
    "tokenreviews": "TokenReview",
}
_LOCAL = "localsubjectaccessreviews"
Proves = Callable[[str], Principal]
"""Whom a bearer token proves. Raises Unauthorized."""


def review(path: str, body: dict[str, Any], who: Principal, authorizer: Authorizer, proves: Proves) -> dict[str, Any]:
    """The review with its `status` filled. Raises BadRequest, Forbidden, Invalid, NotFound."""
    group, version, namespace, what = _place(path)
    spec = body.get("spec") or {}
    if not isinstance(spec, dict):
        raise BadRequest("spec must be a JSON object")
    authorizer.require(who, Action("create", group, what, namespace))
    match what:
        case "selfsubjectreviews":
            status: dict[str, Any] = {"userInfo": _told(who)}
        case "tokenreviews":
            status = _proven(spec, proves)
        case "selfsubjectrulesreviews":
            status = _rules(authorizer.rules(who, str(spec.get("namespace") or "")))
        case _:
            subject = who if what.startswith("self") else _subject(spec)
            status = {"allowed": authorizer.allows(subject, _action(spec, namespace))}
    return {"apiVersion": f"{group}/{version}", "kind": _KINDS[what], "metadata": {}, "spec": spec, "status": status}


def _place(path: str) -> tuple[str, str, str, str]:
    """Group, version, namespace (empty for none) and plural. Raises NotFound."""
    _, _, group, version, *rest = path.rstrip("/").split("/")
    namespace = ""
    if len(rest) == 3 and rest[0] == "namespaces" and rest[2] == _LOCAL:
        namespace, rest = rest[1], rest[2:]
    if len(rest) != 1 or rest[0] not in _KINDS or (rest[0] == _LOCAL) != bool(namespace):
        raise NotFound("the server could not find the requested resource")
    return group, version, namespace, rest[0]


def _told(who: Principal) -> dict[str, Any]:
    uid = {"uid": who.uid} if who.uid else {}
    return {"username": who.name, **uid, "groups": sorted(who.groups)}


def _proven(spec: dict[str, Any], proves: Proves) -> dict[str, Any]:
    token, audiences = spec.get("token"), spec.get("audiences") or [API_AUDIENCE]
    if not isinstance(token, str) or not isinstance(audiences, list):
        raise Invalid("spec.token must be a string and spec.audiences a list of strings")
    if API_AUDIENCE not in audiences:
        return {"authenticated": False, "error": f"tokens here are for the audience {API_AUDIENCE!r} only"}
    try:
        who = proves(token)
    except (Unauthorized, Forbidden) as refused:
        return {"authenticated": False, "error": refused.message}
    return {"authenticated": True, "user": _told(who), "audiences": [API_AUDIENCE]}


def _subject(spec: dict[str, Any]) -> Principal:
    user, groups = spec.get("user"), spec.get("groups") or []
    if not isinstance(user, str) or not isinstance(groups, list):
        raise Invalid("spec.user must be a string and spec.groups a list of strings")
    return Principal(user, frozenset(map(str, groups)) | {AUTHENTICATED})


def _rules(rules: Iterable[Rule]) -> dict[str, Any]:
    allowed: list[dict[str, Any]] = []
    for rule in rules:
        told: dict[str, Any] = {"verbs": list(rule.verbs), "apiGroups": list(rule.groups)}
        told["resources"] = list(rule.resources)
        if rule.names:
            told["resourceNames"] = list(rule.names)
        if told not in allowed:
            allowed.append(told)
    return {"resourceRules": allowed, "nonResourceRules": [], "incomplete": False}


def _action(spec: dict[str, Any], namespace: str) -> Action:
    """`namespace`: where a local review was asked; it may speak of no other."""
    wanted = spec.get("resourceAttributes")
    if isinstance(path := spec.get("nonResourceAttributes"), dict) and wanted is None and not namespace:
        return Action(str(path.get("verb", "")), "", str(path.get("path", "")))
    if not isinstance(wanted, dict):
        raise Invalid("spec.resourceAttributes: Required value")
    if namespace and wanted.get("namespace") != namespace:
        raise Invalid(f"spec.resourceAttributes.namespace: must be {namespace!r}, the one of the review")
    resource, sub = str(wanted.get("resource", "")), wanted.get("subresource")
    return Action(
        str(wanted.get("verb", "")),
        str(wanted.get("group", "")),
        f"{resource}/{sub}" if sub else resource,
        str(wanted.get("namespace", "")),
        str(wanted.get("name", "")),
    )
