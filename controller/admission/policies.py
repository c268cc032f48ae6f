"""ValidatingAdmissionPolicy: rules that admins write in CEL, asked for the writes their bindings mean.

Source: kubernetes.io "Validating Admission Policy". Expressions are checked when a policy is written. `authorizer` is
not there, and a policy that names it is refused.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.admission.evaluator import Evaluator, TooExpensive
from controller.admission.matching import matches
from controller.admission.request import AdmissionRequest, Body
from controller.store.records import Record, Store
from crds.catalog import Catalog
from crds.errors import ApiError, Cause, Forbidden, Invalid, TooLarge, Unauthorized
from crds.kind import Kind
from crds.kinds.admission_policy import GROUP, VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING
from crds.kinds.namespace import NAMESPACE
from crds.kinds.selector import selects

_REASONS: dict[str, type[ApiError]] = {
    "Unauthorized": Unauthorized,
    "Forbidden": Forbidden,
    "Invalid": Invalid,
    "RequestEntityTooLarge": TooLarge,
}
REST_SECONDS = 10.0
_RULES_AT_ONCE = 20  # each question has half a second
FAILURE = "validation.policy.admission.k8s.io/validation_failure"


class Policies:
    """Asks each policy that a binding brings to this write."""

    def __init__(self, store: Store, catalog: Catalog, evaluator: Evaluator | None = None) -> None:
        self._store, self._catalog, self._evaluator = store, catalog, evaluator or Evaluator()
        self._resting: dict[tuple[str, str], float] = {}

    def validate(self, request: AdmissionRequest) -> list[str]:
        if request.kind is VALIDATING_ADMISSION_POLICY and request.new is not None and not request.subresource:
            self._check(request)
        # Policies never judge policies: who locks everybody out must be able to take it back.
        if request.kind.group == GROUP or request.kind.internal:
            return []
        kind = VALIDATING_ADMISSION_POLICY_BINDING
        bindings = self._store.list(kind.group, kind.plural).records
        return [warning for binding in bindings for warning in self._by(binding, request)] if bindings else []

    def rule_faults(self, rules: Sequence[tuple[str, str]]) -> list[str]:
        """Why each rule of a custom kind (its text, and the type it must have) is none; empty where it is one."""
        found: list[str] = []
        for start in range(0, len(rules), _RULES_AT_ONCE):
            some = rules[start : start + _RULES_AT_ONCE]
            try:
                found += self._evaluator.ask({"rules": some})
            except TooExpensive as error:
                found += [str(error)] * len(some)
        return found

    def _check(self, request: AdmissionRequest) -> None:
        """Raises Invalid naming every expression that is none, with its place."""
        spec = (request.new or {})["spec"]
        if request.old is not None and request.old.get("spec") == spec:
            return
        causes = [Cause(field, f"Invalid value: compilation failed: {fault}") for field, fault in self._faults(spec)]
        if spec.get("paramKind") and self._param_kind(spec) is None:
            causes.append(Cause("spec.paramKind", f"Invalid value: there is no kind {spec['paramKind']}"))
        if causes:
            told = "; ".join(f"{each.field}: {each.message}" for each in causes)
            name = f'{request.kind.name}.{request.kind.group} "{request.key.name}"'
            raise Invalid(f"{name} is invalid: {told}", key=request.key, causes=tuple(causes))

    def _faults(self, spec: Body) -> list[list[str]]:
        try:
            found: list[list[str]] = self._evaluator.ask({"check": spec})
        except TooExpensive as error:
            return [["spec", str(error)]]
        return found

    def _by(self, binding: Record, request: AdmissionRequest) -> Iterator[str]:
        bound = binding.object["spec"]
        policy = self._store.get(VALIDATING_ADMISSION_POLICY.key(bound["policyName"]))
        if policy is None:
            return
        spec, room = policy.object["spec"], self._namespace(request)
        if not matches(spec["matchConstraints"], request, room):
            return
        if bound.get("matchResources") and not matches(bound["matchResources"], request, room):
            return
        for params in self._params(spec, bound, request):
            yield from self._enforced(policy, binding, request, self._verdict(policy, request, room, params))

    def _verdict(self, policy: Record, request: AdmissionRequest, room: Body | None, params: Any) -> list[Body]:
        """The failures."""
        spec = policy.object["spec"]
        if params is _NOT_FOUND:
            return [{"message": "no params found for policy binding with `Deny` parameterNotFoundAction"}]
        data = {
            "object": request.new,
            "oldObject": request.old,
            "request": _described(request),
            "namespaceObject": room,
            "params": params,
        }
        told = self._told(policy, request, {"judge": spec, "data": data})
        request.annotations.update(told["audit"])
        ignore = spec.get("failurePolicy") == "Ignore"
        return [each for each in told["failures"] if not (ignore and each.get("error"))]

    def _told(self, policy: Record, request: AdmissionRequest, question: Body) -> Body:
        """What the policy says. Who made it too expensive is not asked about again for a while: everybody waits."""
        place, now = (policy.uid, request.user.name), time.monotonic()
        try:
            if self._resting.get(place, now) > now:
                raise TooExpensive(f"it was too expensive just now; try again in {REST_SECONDS:g} s")
            told: Body = self._evaluator.ask(question)
        except TooExpensive as error:
            if len(self._resting) > 1000:
                self._resting.clear()
            self._resting.setdefault(place, now)
            if self._resting[place] <= now:
                self._resting[place] = now + REST_SECONDS
            return {"failures": [{"message": str(error), "error": True}], "audit": {}}
        return told

    def _enforced(
        self, policy: Record, binding: Record, request: AdmissionRequest, failures: list[Body]
    ) -> Iterator[str]:
        actions = binding.object["spec"]["validationActions"]
        by = f"ValidatingAdmissionPolicy '{policy.key.name}' with binding '{binding.key.name}'"
        for failure in failures:
            if "Audit" in actions:
                request.annotations[FAILURE] = f"{by}: {failure['message']}"
            if "Deny" in actions:
                sort = _REASONS[failure.get("reason") or "Invalid"]
                text = f"{by} denied request: {failure['message']}"
                lead = f'{request.kind.resource} "{request.key.name}" is forbidden: '
                # Of what is invalid, kubectl shows only the causes.
                raise sort(lead + text, key=request.key, causes=(Cause("", text, ""),))
            if "Warn" in actions:
                yield f"Validation failed for {by}: {failure['message']}"

    def _params(self, spec: Body, bound: Body, request: AdmissionRequest) -> list[Any]:
        """What the expressions see as `params`: one evaluation for each."""
        reference = bound.get("paramRef")
        if not spec.get("paramKind") or reference is None:
            return [None]
        kind, found = self._param_kind(spec), []
        if kind is not None:
            namespace = (reference.get("namespace") or request.key.namespace) if kind.namespaced else None
            if not kind.namespaced or namespace:
                found = self._named(kind, reference, namespace)
        if found:
            return found
        return [_NOT_FOUND] if reference.get("parameterNotFoundAction") == "Deny" else []

    def _named(self, kind: Kind[Any], reference: Body, namespace: str | None) -> list[Any]:
        if name := reference.get("name"):
            record = self._store.get(kind.key(name, namespace))
            return [record.object] if record else []
        records = self._store.list(kind.group, kind.plural, namespace).records
        return [
            each.object
            for each in records
            if selects(reference.get("selector"), each.object["metadata"].get("labels") or {})
        ]

    def _param_kind(self, spec: Body) -> Kind[Any] | None:
        wanted = spec["paramKind"]
        found = self._catalog.of(wanted["apiVersion"], wanted["kind"])
        # What nobody but its service may read does not come out through a message either.
        return None if found is None or found.internal else found

    def _namespace(self, request: AdmissionRequest) -> Body | None:
        name = request.key.namespace if request.kind.namespaced else ""
        room = self._store.get(NAMESPACE.key(name)) if name else None
        return room.object if room else None


_NOT_FOUND = object()


def _described(request: AdmissionRequest) -> Mapping[str, Any]:
    """The AdmissionRequest that expressions see as `request`."""
    kind = request.kind
    resource = {"group": kind.group, "version": kind.version, "resource": kind.plural}
    sort = {"group": kind.group, "version": kind.version, "kind": kind.name}
    user = request.user
    return {
        "uid": str(uuid.uuid4()),
        "kind": sort,
        "requestKind": sort,
        "resource": resource,
        "requestResource": resource,
        "subResource": request.subresource,
        "requestSubResource": request.subresource,
        "name": request.key.name,
        "namespace": request.key.namespace,
        "operation": request.operation,
        "userInfo": {"username": user.name, "uid": user.uid, "groups": sorted(user.groups), "extra": {}},
        "dryRun": request.dry_run,
        "options": {},
    }
