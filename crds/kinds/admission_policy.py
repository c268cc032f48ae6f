"""ValidatingAdmissionPolicy and its binding: rules for writes, in CEL (Kubernetes admissionregistration.k8s.io/v1).

A policy says what must hold; a binding says where it counts, and what happens when it does not hold.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from crds.kind import Column, Kind, KubeObject, Resource
from crds.kinds.selector import LabelSelector
from crds.meta import Spec, Status
from crds.model import Model

GROUP = "admissionregistration.k8s.io"
MOST_EXPRESSIONS = 64
Expression = Annotated[str, Field(min_length=1, max_length=4096)]
Identifier = Annotated[str, Field(pattern=r"^[_a-zA-Z][_a-zA-Z0-9]*$", max_length=63)]
Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT", "*"]


class NamedRule(Model):
    """`*` means any. `resources` are `plural`, `plural/subresource`, `*/subresource` or `*/*`."""

    api_groups: list[str]
    api_versions: list[str]
    operations: Annotated[list[Operation], Field(min_length=1)]
    resources: Annotated[list[str], Field(min_length=1)]
    resource_names: list[str] | None = None
    scope: Literal["Cluster", "Namespaced", "*"] = "*"


class MatchResources(Model):
    namespace_selector: LabelSelector | None = None
    object_selector: LabelSelector | None = None
    resource_rules: list[NamedRule] | None = None
    exclude_resource_rules: list[NamedRule] | None = None
    match_policy: Literal["Exact", "Equivalent"] = "Equivalent"


class ParamKind(Model):
    api_version: str
    kind: str


class Validation(Model):
    """`expression` must be true. `message` or `messageExpression` says why it is not."""

    expression: Expression
    message: Annotated[str, Field(max_length=1024)] | None = None
    message_expression: Expression | None = None
    reason: Literal["Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"] | None = None


class AuditAnnotation(Model):
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", max_length=63)]
    value_expression: Expression


class NamedExpression(Model):
    name: Annotated[str, Field(max_length=317)]
    expression: Expression


class Variable(Model):
    name: Identifier
    expression: Expression


class PolicySpec(Spec):
    param_kind: ParamKind | None = None
    match_constraints: MatchResources
    validations: Annotated[list[Validation], Field(max_length=MOST_EXPRESSIONS)] = Field(default_factory=list)
    failure_policy: Literal["Fail", "Ignore"] = "Fail"
    audit_annotations: Annotated[list[AuditAnnotation], Field(max_length=20)] = Field(default_factory=list)
    match_conditions: Annotated[list[NamedExpression], Field(max_length=MOST_EXPRESSIONS)] = Field(
        default_factory=list
    )
    variables: Annotated[list[Variable], Field(max_length=MOST_EXPRESSIONS)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _asks_for_something(self) -> PolicySpec:
        if not self.match_constraints.resource_rules:
            raise ValueError("matchConstraints.resourceRules: Required value")
        if not self.validations and not self.audit_annotations:
            raise ValueError("validations: validations or auditAnnotations must contain at least one item")
        return self


class PolicyStatus(Status):
    """Expressions are checked when they are written: there is nothing left to say."""


class ValidatingAdmissionPolicy(Resource[PolicySpec, PolicyStatus]):
    spec: PolicySpec
    status: PolicyStatus = Field(default_factory=PolicyStatus)


class ParamRef(Model):
    name: str | None = None
    namespace: str | None = None
    selector: LabelSelector | None = None
    parameter_not_found_action: Literal["Allow", "Deny"] | None = None

    @model_validator(mode="after")
    def _names_one_way(self) -> ParamRef:
        if (self.name is None) == (self.selector is None):
            raise ValueError("exactly one of name or selector must be given")
        if self.parameter_not_found_action is None:
            raise ValueError("parameterNotFoundAction: Required value")
        return self


class BindingSpec(Spec):
    policy_name: Annotated[str, Field(min_length=1)]
    param_ref: ParamRef | None = None
    match_resources: MatchResources | None = None
    validation_actions: Annotated[list[Literal["Deny", "Warn", "Audit"]], Field(min_length=1)]

    @model_validator(mode="after")
    def _acts_once(self) -> BindingSpec:
        actions = self.validation_actions
        if len(set(actions)) != len(actions):
            raise ValueError("validationActions: Duplicate value")
        if {"Deny", "Warn"} <= set(actions):
            raise ValueError("validationActions: must not contain both Deny and Warn (repeating the same validation "
                             "failure information in the API response and headers serves no purpose)")  # fmt: skip
        return self


class ValidatingAdmissionPolicyBinding(KubeObject):
    spec: BindingSpec


VALIDATING_ADMISSION_POLICY = Kind(
    name="ValidatingAdmissionPolicy",
    plural="validatingadmissionpolicies",
    group=GROUP,
    singular="validatingadmissionpolicy",
    namespaced=False,
    categories=("api-extensions",),
    model=ValidatingAdmissionPolicy,
    description="What must hold for writes, in CEL.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Validations", "spec.validations", type="integer"),
        Column("ParamKind", "spec.paramKind.kind"),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
VALIDATING_ADMISSION_POLICY_BINDING = Kind(
    name="ValidatingAdmissionPolicyBinding",
    plural="validatingadmissionpolicybindings",
    group=GROUP,
    singular="validatingadmissionpolicybinding",
    namespaced=False,
    has_status=False,
    categories=("api-extensions",),
    model=ValidatingAdmissionPolicyBinding,
    description="Where a policy for writes counts, and what happens when it does not hold.",
    columns=(
        Column("Name", "metadata.name"),
        Column("PolicyName", "spec.policyName"),
        Column("ParamRef", "spec.paramRef.name"),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
