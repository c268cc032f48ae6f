"""CEL, in a process of its own: expressions of admins meet objects of anybody, and neither may cost what it likes.

`python -m controller.admission.cel` reads JSON lines, a policy and what it is asked about, and answers each with one.
It has no secrets, little memory and no files; who waits for it waits a bounded time, and then ends it. The language
itself is Google's own implementation: types are checked when a policy is written, regular expressions are RE2's, and
comprehensions have a budget of iterations.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from typing import Any

VARIABLES = ("object", "oldObject", "request", "namespaceObject", "variables")
# https://kubernetes.io "Common Expression Language in Kubernetes": functions, by their names.
KUBERNETES_LIBRARIES = frozenset(
    ("isSorted", "sum", "min", "max", "indexOf", "lastIndexOf", "find", "findAll", "url", "isURL", "getScheme",
     "getHost", "getHostname", "getPort", "getEscapedPath", "getQuery", "quantity", "isQuantity", "isInteger",
     "asInteger", "asApproximateFloat", "sign", "add", "sub", "isLessThan", "isGreaterThan", "compareTo", "ip",
     "isIP", "family", "isUnspecified", "isLoopback", "isLinkLocalMulticast", "isLinkLocalUnicast",
     "isGlobalUnicast", "cidr", "isCIDR", "containsIP", "containsCIDR", "prefixLength", "masked", "format",
     "validate", "semver", "isSemver", "major", "minor", "patch", "sets", "transformList", "transformMap",
     "transformMapEntry", "existsOne", "named", "dns1123Label", "dns1123Subdomain", "dns1035Label", "qualifiedName",
     "dns1123LabelPrefix", "dns1123SubdomainPrefix", "dns1035LabelPrefix", "labelValue", "uri", "uuid", "byte",
     "date", "datetime")
)  # fmt: skip
MEMORY_BYTES = 768 * 2**20
Json = dict[str, Any]


class Language:
    """Compiles and evaluates; what was compiled is remembered."""

    def __init__(self) -> None:
        from cel_expr_python import cel
        from cel_expr_python.ext import ext_math, ext_optional, ext_strings

        self._cel = cel
        self._extensions = [ext_strings.ExtStrings(), ext_math.ExtMath(), ext_optional.ExtOptional()]
        self._environments: dict[bool, Any] = {}
        self._known: dict[tuple[bool, str], Any] = {}

    def compiled(self, expression: str, *, params: bool) -> Any:
        """Raises RuntimeError, which names the place."""
        known = self._known.get((params, expression))
        if known is None:
            if len(self._known) > 2000:
                self._known.clear()
            known = self._known[params, expression] = self._environment(params).compile(expression)
        return known

    def fault(self, expression: str, wanted: str, *, params: bool) -> str:
        """Why that is no expression of the `wanted` type (BOOL, STRING or empty for any); empty when it is."""
        try:
            found = self.compiled(expression, params=params).return_type()
        except RuntimeError as error:
            return _plain(error)
        if wanted and found.name() not in (wanted, "DYN"):
            return f"must evaluate to {wanted.lower()}, not {found.name().lower()}"
        return ""

    def rule_fault(self, expression: str, wanted: str) -> str:
        """As `fault`, of a rule about `self` and `oldSelf`. What only a Kubernetes server has is no fault."""
        variables = dict.fromkeys(("self", "oldSelf"), self._cel.Type.DYN)
        try:
            environment = self._cel.NewEnv(variables=variables, extensions=self._extensions)
            found = environment.compile(expression).return_type()
        except RuntimeError as error:
            return "" if _is_foreign(str(error)) else _plain(error)
        return "" if found.name() in (wanted, "DYN") else f"must evaluate to {wanted.lower()}"

    def value(self, expression: str, data: Json, *, params: bool) -> tuple[Any, str]:
        """The value, or why there is none."""
        try:
            found = self.compiled(expression, params=params).eval(data=data)
        except RuntimeError as error:
            return None, _plain(error)
        if found.type().name() == "ERROR":
            return None, _plain(found)
        return found.plain_value(), ""

    def _environment(self, params: bool) -> Any:
        if params not in self._environments:
            names = (*VARIABLES, "params") if params else VARIABLES
            variables = dict.fromkeys(names, self._cel.Type.DYN)
            self._environments[params] = self._cel.NewEnv(variables=variables, extensions=self._extensions)
        return self._environments[params]


def faults_of(language: Language, spec: Json) -> list[list[str]]:
    """Field and fault of every expression of a policy that is none."""
    params = spec.get("paramKind") is not None
    found = ((field, language.fault(text, wanted, params=params)) for field, text, wanted in expressions(spec))
    return [[field, fault] for field, fault in found if fault]


def rule_faults(language: Language, rules: list[list[str]]) -> list[str]:
    """Why each rule of a custom kind (its text, and the type it must have) is none; empty where it is one."""
    return [language.rule_fault(text, wanted) for text, wanted in rules]


def expressions(spec: Json) -> Iterator[tuple[str, str, str]]:
    """Field, expression, and the type it must have."""
    for n, each in enumerate(spec.get("variables") or ()):
        yield f"spec.variables[{n}].expression", each["expression"], ""
    for n, each in enumerate(spec.get("matchConditions") or ()):
        yield f"spec.matchConditions[{n}].expression", each["expression"], "BOOL"
    for n, each in enumerate(spec.get("validations") or ()):
        yield f"spec.validations[{n}].expression", each["expression"], "BOOL"
        if text := each.get("messageExpression"):
            yield f"spec.validations[{n}].messageExpression", text, "STRING"
    for n, each in enumerate(spec.get("auditAnnotations") or ()):
        yield f"spec.auditAnnotations[{n}].valueExpression", each["valueExpression"], ""


def judged(language: Language, spec: Json, data: Json) -> Json:
    """What a policy says: `matches`, the `failures`, and `audit` annotations."""
    params = spec.get("paramKind") is not None
    data = {**data, "variables": {}}
    error = ""
    for each in spec.get("matchConditions") or ():
        held, why = language.value(each["expression"], data, params=params)
        if held is False:
            return {"matches": False, "failures": [], "audit": {}}
        error = error or (why and f"matchCondition {each['name']!r} resulted in error: {why}")
    if error:
        return {"matches": True, "failures": [{"message": error, "error": True}], "audit": {}}
    broken: dict[str, str] = {}
    for each in spec.get("variables") or ():
        value, why = language.value(each["expression"], data, params=params)
        if why:
            broken[each["name"]] = why  # only who uses it fails
        else:
            data["variables"][each["name"]] = value
    failures = [
        failure for each in spec.get("validations") or () if (failure := _failed(language, each, data, params))
    ]
    for failure in failures:
        if failure["error"] and broken:
            failure["message"] += f" (variables: {broken})"
    return {"matches": True, "failures": failures, "audit": _annotations(language, spec, data, params)}


def _failed(language: Language, validation: Json, data: Json, params: bool) -> Json | None:
    text = validation["expression"]
    held, why = language.value(text, data, params=params)
    if held is True:
        return None
    if why or held is not False:
        return {"message": f"expression '{text}' resulted in error: {why or 'it is no boolean'}", "error": True}
    message = validation.get("message") or f"failed expression: {text}"
    if made := validation.get("messageExpression"):
        said, why = language.value(made, data, params=params)
        if not why and isinstance(said, str) and said.strip() and "\n" not in said:
            message = said[:1024]
    return {"message": message, "error": False, "reason": validation.get("reason")}


def _annotations(language: Language, spec: Json, data: Json, params: bool) -> dict[str, str]:
    found = {}
    for each in spec.get("auditAnnotations") or ():
        value, why = language.value(each["valueExpression"], data, params=params)
        if not why and isinstance(value, str):
            found[each["key"]] = value[:1024]
    return found


def _is_foreign(error: str) -> bool:
    """Whether all that is wrong are names out of the libraries that Kubernetes adds to CEL."""
    causes = [each.partition(": ")[2] for each in error.split("ERROR: ")[1:]]
    named = [cause.split("'")[1] if cause.startswith("undeclared reference to '") else "" for cause in causes]
    return bool(named) and all(name and name.partition(".")[0] in KUBERNETES_LIBRARIES for name in named)


def _plain(error: object) -> str:
    return " ".join(str(error).split())[:500]


def answered(language: Language, asked: Json) -> Any:
    """`{"check": spec}`, `{"rules": [[text, type], ...]}` or `{"judge": spec, "data": ...}`."""
    if "check" in asked:
        return faults_of(language, asked["check"])
    if "rules" in asked:
        return rule_faults(language, asked["rules"])
    return judged(language, asked["judge"], asked["data"])


def main() -> None:
    """Answer questions until nobody asks any more."""
    language = Language()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    sys.stdout.write('"ready"\n')
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answered(language, json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
