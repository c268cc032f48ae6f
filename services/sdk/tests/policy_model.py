"""Another reading of AWS's rules, for the evaluator to agree with: slow, from the plain JSON, nothing compiled.

It shares no code with the evaluator. Wildcards are tried one character at a time, statements are read again for every
request, and the decision is the formula of each kind of requester written out.
"""

from __future__ import annotations

import ipaddress
from functools import cache
from typing import Any

Json = dict[str, Any]


@cache
def glob(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return glob(pattern[1:], text) or (bool(text) and glob(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and glob(pattern[1:], text[1:])


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def arn_like(pattern: str, arn: str) -> bool:
    wanted, found = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(found) == 6 and all(glob(a, b) for a, b in zip(wanted, found, strict=True))


def one(operator: str, wanted: str, found: str) -> bool:
    """Positive operators on two values."""
    if operator == "StringEquals":
        return wanted == found
    if operator == "StringLike":
        return glob(wanted, found)
    if operator == "ArnLike":
        return arn_like(wanted, found)
    if operator == "IpAddress":
        return ipaddress.ip_address(found) in ipaddress.ip_network(wanted, strict=False)
    if operator == "NumericLessThan":
        return int(found) < int(wanted)
    raise AssertionError(operator)


POSITIVE = {"StringNotEquals": "StringEquals", "StringNotLike": "StringLike", "ArnNotLike": "ArnLike",
            "NotIpAddress": "IpAddress"}  # fmt: skip


def condition(name: str, wanted: list[str], found: list[str]) -> bool:
    sets, _, operator = name.rpartition(":")
    if operator == "Null":
        return ("true" if not found else "false") in wanted
    optional = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    if not found:
        return sets == "ForAllValues" or optional or (operator in POSITIVE and not sets)
    positive = POSITIVE.get(operator, operator)
    hits = [any(one(positive, each, value) for each in wanted) for value in found]
    if operator not in POSITIVE:
        return all(hits) if sets == "ForAllValues" else any(hits)
    return not all(hits) if sets == "ForAnyValue" else not any(hits)


def about(statement: Json, action: str, resource: str, context: dict[str, list[str]]) -> bool:
    names = listed(statement.get("Action", statement.get("NotAction")))
    if any(glob(each.lower(), action.lower()) for each in names) != ("Action" in statement):
        return False
    places = listed(statement.get("Resource", statement.get("NotResource")))
    if any(each == "*" or arn_like(each, resource) for each in places) != ("Resource" in statement):
        return False
    lowered = {key.lower(): values for key, values in context.items()}
    return all(
        condition(name, [str(each) for each in listed(values)], lowered.get(key.lower(), []))
        for name, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def grants(policy: Json | None, request: Json, effect: str, names: set[str] | None = None) -> bool:
    """Whether a statement of that effect is about the request; names: whom a resource's policy must name."""
    for statement in (policy or {}).get("Statement", []):
        if statement["Effect"] != effect:
            continue
        if names is not None and not names & set(listed(statement["Principal"]["AWS"])):
            continue
        if about(statement, request["action"], request["resource"], request["context"]):
            return True
    return False


def decide(request: Json, policies: dict[str, Json | None]) -> str:
    """`kind`: user or session. `self`, `role`, `account`: the names of the requester; `same`: one account."""
    everything = {"*", request["self"], request["role"], request["account"]}
    for name, policy in policies.items():
        if grants(policy, request, "Deny", everything if name == "resource" else None):
            return "explicitDeny"
    own, limit, session, resource = (policies[each] for each in ("identity", "boundary", "session", "resource"))
    identity = grants(own, request, "Allow")
    limited = all(policy is None or grants(policy, request, "Allow") for policy in (limit, session))
    direct = grants(resource, request, "Allow", {"*", request["self"]})
    role = request["kind"] == "session" and grants(resource, request, "Allow", {request["role"]})
    named = grants(resource, request, "Allow", everything)
    allowed = (direct or (limited and (identity or role))) if request["same"] else named and identity and limited
    return "allowed" if allowed else "implicitDeny"
