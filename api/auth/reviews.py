"""SubjectAccessReview and its kin: asking the authorizer over the wire (authorization.k8s.io/v1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.auth.authorizer import Action, Authorizer
from api.auth.principal import AUTHENTICATED, Principal
from api.auth.rules import Rule
from crds.errors import BadRequest, Invalid, NotFound

PREFIXES = (
    "/apis/authorization.k8s.io/v1/",
    "/apis/authentication.k8s.io/v1/",
    "/apis/authentication.k8s.io/v1beta1/",  # where kubectl 1.27 asks who it is
)


def review(path: str, body: dict[str, Any], who: Principal, authorizer: Authorizer) -> dict[str, Any]:
    """The review with its `status` filled. Raises Forbidden, Invalid, NotFound."""
    _, _, group, version, what, *rest = [*path.split("/"), ""]
    spec = body.get("spec") or {}
    if not isinstance(spec, dict):
        raise BadRequest("spec must be a JSON object")
    kinds = {
        "selfsubjectaccessreviews": "SelfSubjectAccessReview",
        "subjectaccessreviews": "SubjectAccessReview",
        "selfsubjectrulesreviews": "SelfSubjectRulesReview",
        "selfsubjectreviews": "SelfSubjectReview",
    }
    if what not in kinds or any(rest):
        raise NotFound("the server could not find the requested resource")
    authorizer.require(who, Action("create", group, what))
    if what == "selfsubjectreviews":
        status: dict[str, Any] = {"userInfo": {"username": who.name, "groups": sorted(who.groups)}}
    elif what == "selfsubjectrulesreviews":
        status = _rules(authorizer.rules(who, str(spec.get("namespace") or "")))
    else:
        subject = who if what.startswith("self") else _subject(spec)
        status = {"allowed": authorizer.allows(subject, _action(spec))}
    return {"apiVersion": f"{group}/{version}", "kind": kinds[what], "metadata": {}, "spec": spec, "status": status}


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


def _action(spec: dict[str, Any]) -> Action:
    wanted = spec.get("resourceAttributes")
    if isinstance(path := spec.get("nonResourceAttributes"), dict) and wanted is None:
        return Action(str(path.get("verb", "")), "", str(path.get("path", "")))
    if not isinstance(wanted, dict):
        raise Invalid("spec.resourceAttributes: Required value")
    resource, sub = str(wanted.get("resource", "")), wanted.get("subresource")
    return Action(
        str(wanted.get("verb", "")),
        str(wanted.get("group", "")),
        f"{resource}/{sub}" if sub else resource,
        str(wanted.get("namespace", "")),
        str(wanted.get("name", "")),
    )
