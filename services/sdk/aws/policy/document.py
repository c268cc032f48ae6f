"""The JSON of a policy, read strictly: what is no element of a policy is refused, with the words AWS has for it.

Source: AWS IAM user guide, "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from services.sdk.aws.policy.arn_patterns import ArnPattern
from services.sdk.aws.policy.conditions import Condition, condition_of, operator_of
from services.sdk.aws.policy.context import text_of
from services.sdk.aws.policy.principals import EVERYBODY, PrincipalElement, principals_of
from services.sdk.aws.policy.statements import ActionElement, Effect, Policy, Statement
from services.sdk.aws.policy.variables import VERSION_WITH_VARIABLES, template_of

LONGEST = 131_072
SYNTAX = "Syntax errors in policy."
OLDEST_VERSION = "2008-10-17"
VERSIONS = frozenset({OLDEST_VERSION, VERSION_WITH_VARIABLES})
PRINCIPAL_KINDS = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_POLICY = frozenset({"Version", "Id", "Statement"})
_STATEMENT = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
Json = dict[str, Any]


class Number(str):
    """A number as the document writes it. Condition values may be some, and are compared as they were written."""


class PolicyError(ValueError):
    """A document is no policy. `message`: AWS's words; `where` and `why`: the element, and what is wrong with it."""

    def __init__(self, message: str, where: str = "", why: str = "") -> None:
        super().__init__(f"{message} ({where}: {why})" if where else message)
        self.message, self.where, self.why = message, where, why


def parse_policy(text: str) -> Policy:
    """The policy, compiled. Raises PolicyError."""
    return policy_of(read_document(text), text)


def policy_of(document: Json, text: str = "") -> Policy:
    """From the document's JSON. Raises PolicyError."""
    _require_known(document, _POLICY, "policy")
    version = document.get("Version", OLDEST_VERSION)
    if not isinstance(version, str) or version not in VERSIONS:
        raise _syntax("Version", f"is {OLDEST_VERSION} or {VERSION_WITH_VARIABLES}")
    id_ = document.get("Id", "")
    if not _is_text(id_):
        raise _syntax("Id", "is a text")
    variables = version == VERSION_WITH_VARIABLES
    statements = statements_of(document)
    compiled = tuple(_statement(each, index, variables) for index, each in enumerate(statements))
    return Policy(version, id_, compiled, text)


def read_document(text: str, no_json: str = SYNTAX) -> Json:
    """The JSON, no name twice in one object. Raises PolicyError; `no_json`: what it says of other texts."""
    if len(text) > LONGEST:
        raise PolicyError(SYNTAX, "policy", f"is longer than {LONGEST} characters")
    try:
        found = json.loads(
            text, object_pairs_hook=_once, parse_int=Number, parse_float=Number, parse_constant=_refuse
        )
    except (ValueError, RecursionError) as wrong:
        if isinstance(wrong, PolicyError):
            raise
        raise PolicyError(no_json, "policy", "is no JSON") from None
    if not isinstance(found, dict):
        raise _syntax("policy", "is an object")
    return found


def statements_of(document: Json) -> list[Json]:
    """The statements; one may stand without a list. Raises PolicyError."""
    found = document.get("Statement")
    statements = [found] if isinstance(found, dict) else found
    if not isinstance(statements, list) or not statements:
        raise _syntax("Statement", "is a statement or a list of some")
    for index, each in enumerate(statements):
        if not isinstance(each, dict):
            raise _syntax(f"Statement[{index}]", "is an object")
    return statements


def texts_of(value: Any, where: str) -> tuple[str, ...]:
    """A text, or a list of texts. Raises PolicyError."""
    values = [value] if _is_text(value) else value
    if not isinstance(values, list) or not all(map(_is_text, values)):
        raise _syntax(where, "is a text or a list of texts")
    return tuple(values)


def _statement(found: Json, index: int, variables: bool) -> Statement:
    where = f"Statement[{index}]"
    _require_known(found, _STATEMENT, where)
    actions, not_actions = _either(found, "Action", where)
    resources, not_resources = _either(found, "Resource", where)
    principals, not_principals = _either(found, "Principal", where)
    effect, sid = found.get("Effect"), found.get("Sid", "")
    if not isinstance(effect, str) or effect.lower() not in ("allow", "deny"):
        raise _syntax(f"{where}.Effect", "is Allow or Deny")
    if not _is_text(sid):
        raise _syntax(f"{where}.Sid", "is a text")
    return Statement(
        index=index,
        sid=sid,
        effect=cast(Effect, effect.capitalize()),
        actions=ActionElement(texts_of(actions, f"{where}.Action") if actions is not None else ()),
        not_actions=not_actions,
        resources=_resources(resources, f"{where}.Resource", variables),
        not_resources=not_resources,
        principals=_principals(principals, f"{where}.Principal"),
        not_principals=not_principals,
        conditions=tuple(_conditions(found.get("Condition", {}), f"{where}.Condition", variables)),
    )


def _either(found: Json, name: str, where: str) -> tuple[Any, bool]:
    """The element or its `Not...`, of which there may be one; and whether it is the latter."""
    if name in found and f"Not{name}" in found:
        raise _syntax(where, f"has either {name} or Not{name}")
    negated = f"Not{name}" in found
    return found.get(f"Not{name}" if negated else name), negated


def _resources(found: Any, where: str, variables: bool) -> tuple[ArnPattern, ...] | None:
    if found is None:
        return None
    texts = texts_of(found, where)
    return tuple(ArnPattern(template_of(each, variables=variables), completes=True) for each in texts)


def _principals(found: Any, where: str) -> PrincipalElement | None:
    if found is None:
        return None
    if found == EVERYBODY:
        return principals_of({"AWS": (EVERYBODY,)})
    if not isinstance(found, dict) or not found:
        raise _syntax(where, f'is "{EVERYBODY}" or an object of {", ".join(sorted(PRINCIPAL_KINDS))}')
    _require_known(found, PRINCIPAL_KINDS, where)
    return principals_of({kind: texts_of(each, f"{where}.{kind}") for kind, each in found.items()})


def _conditions(found: Any, where: str, variables: bool) -> Iterable[Condition]:
    if not isinstance(found, dict):
        raise _syntax(where, "is an object")
    for name, keys in found.items():
        if not isinstance(keys, dict):
            raise _syntax(f"{where}.{name}", "is an object")
        if keys and operator_of(name) is None:
            raise _syntax(f"{where}.{name}", "is no condition operator")
        for key, values in keys.items():
            yield condition_of(name, key, _values(values, f"{where}.{name}.{key}"), variables=variables)


def _values(found: Any, where: str) -> list[str]:
    values = found if isinstance(found, list) else [found]
    if not all(isinstance(each, str | bool) for each in values):
        raise _syntax(where, "is a text, number or boolean, or a list of some")
    return [text_of(each) for each in values]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _require_known(found: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    if unknown := sorted(set(found) - known):
        raise _syntax(where, f"has no element {unknown[0][:128]}")


def _syntax(where: str, why: str) -> PolicyError:
    return PolicyError(SYNTAX, where, why)


def _once(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(each for each in names if names.count(each) > 1)
        raise PolicyError(SYNTAX, doubled[:128], "is there twice")
    return found


def _refuse(text: str) -> None:
    raise PolicyError(SYNTAX, "policy", f"{text} is no JSON")
