"""CustomResourceDefinition: a kind that people bring along (Kubernetes apiextensions.k8s.io/v1)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from crds.kind import Column, Kind, KubeObject, Resource
from crds.meta import Condition, Spec, Status
from crds.model import Model
from crds.schema import Schema, list_map

GROUP = "apiextensions.k8s.io"


class Names(Model):
    plural: str
    kind: str
    singular: str = ""
    list_kind: str = ""
    short_names: list[str] | None = None
    categories: list[str] | None = None


class ScaleSubresource(Model):
    spec_replicas_path: str
    status_replicas_path: str
    label_selector_path: str | None = None


class Subresources(Model):
    status: dict[str, Any] | None = None
    scale: ScaleSubresource | None = None


class PrinterColumn(Model):
    """`jsonPath`: any path `controller.resources.json_path` reads; its first result is shown."""

    name: str
    type: Literal["string", "integer", "number", "boolean", "date"]
    json_path: str
    format: str | None = None
    description: str | None = None
    priority: int | None = None


class SelectableField(Model):
    json_path: str


_INNER, _CHOICES = ("items", "additionalProperties", "not"), ("allOf", "anyOf", "oneOf")


def without_null_words(schema: Any) -> Any:
    """A schema as Kubernetes reads it: a word with nothing behind it (`properties:`) is as if it was not there. As
    a default or an example, null is a value.
    """
    if not isinstance(schema, dict):
        return schema
    kept = {word: value for word, value in schema.items() if value is not None or word in ("default", "example")}
    for word in _INNER:
        if word in kept:
            kept[word] = without_null_words(kept[word])
    for word in _CHOICES:
        if isinstance(kept.get(word), list):
            kept[word] = [without_null_words(each) for each in kept[word]]
    if isinstance(named := kept.get("properties"), dict):
        kept["properties"] = {name: without_null_words(each) for name, each in named.items()}
    return kept


class Validation(Model):
    open_api_v3_schema: Annotated[
        Schema | None, Field(alias="openAPIV3Schema"), BeforeValidator(without_null_words)
    ] = None


class Version(Model):
    name: str
    served: bool
    storage: bool
    deprecated: bool | None = None
    deprecation_warning: str | None = None
    validation: Annotated[Validation | None, Field(alias="schema")] = None
    subresources: Subresources | None = None
    additional_printer_columns: list[PrinterColumn] | None = None
    selectable_fields: list[SelectableField] | None = None


class Conversion(Model):
    strategy: Literal["None", "Webhook"] = "None"
    webhook: dict[str, Any] | None = None


class DefinitionSpec(Spec):
    """Exactly one version is the storage version. The rest of its rules: `controller.resources.definition_rules`."""

    group: str
    names: Names
    scope: Literal["Namespaced", "Cluster"]
    versions: Annotated[list[Version], Field(min_length=1)]
    conversion: Conversion | None = None
    preserve_unknown_fields: Literal[False] | None = None

    @model_validator(mode="after")
    def _stores_one_version(self) -> DefinitionSpec:
        if sum(each.storage for each in self.versions) != 1:
            raise ValueError("versions: exactly one must have storage: true")
        if "." not in self.group:
            raise ValueError("group: must be a domain name with at least one dot")
        return self

    @property
    def stored(self) -> Version:
        """The version that is kept and served."""
        return next(each for each in self.versions if each.storage)


class DefinitionStatus(Status):
    accepted_names: Names | None = None
    stored_versions: list[str] = Field(default_factory=list)
    conditions: list[Condition] = Field(default_factory=list, json_schema_extra=list_map("type"))


class CustomResourceDefinition(Resource[DefinitionSpec, DefinitionStatus]):
    spec: DefinitionSpec
    status: DefinitionStatus = Field(default_factory=DefinitionStatus)


class CustomResource(KubeObject):
    """A resource of a kind defined at runtime: its fields are checked against the schema of its definition."""

    model_config = ConfigDict(extra="allow")


DEFINITION = Kind(
    name="CustomResourceDefinition",
    plural="customresourcedefinitions",
    group=GROUP,
    singular="customresourcedefinition",
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    namespaced=False,
    model=CustomResourceDefinition,
    description="A kind that people bring along.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Created At", "metadata.creationTimestamp"),
    ),
)
