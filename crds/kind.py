"""What can exist. A Kind ties a name on the wire to the models that read it and the columns that show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

import orjson
from pydantic import Field

from crds.formats import Upgrade
from crds.invariants import Invariant, Reference
from crds.lent_rights import Lends
from crds.meta import ObjectKey, ObjectMeta, Spec, Status
from crds.model import WHEN_USED, Model
from crds.passed_roles import PassedRoles
from crds.rules import Rule
from crds.schema import Schema, schema_of

GROUP = "aerekos.cloud"
VERSION = "v1"
READ_VERBS = ("get", "list", "watch")
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class KubeObject(Model):
    """Any resource as written: what it is, and its metadata. Kinds without spec/status add their own fields."""

    model_config = WHEN_USED

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)


SpecT = TypeVar("SpecT", bound=Spec)
StatusT = TypeVar("StatusT", bound=Status)
M = TypeVar("M", bound=KubeObject)


class Resource(KubeObject, Generic[SpecT, StatusT]):
    """A resource with what is wanted (spec) and what was seen (status)."""

    spec: SpecT
    status: StatusT


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. `path` is a dotted path (`status.phase`, `spec.items[0].name`).

    `priority` 0 is always shown, 1 only in wide output. `type` follows OpenAPI; `date` prints an age, `bytes` a size
    as people read it (`23.5Gi`). `read` computes from the resource what no path can name.
    """

    name: str
    path: str
    type: Literal["string", "integer", "number", "boolean", "date", "bytes"] = "string"
    priority: int = 0
    description: str = ""
    read: Callable[[dict[str, Any]], Any] | None = None


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of a resource with a path of its own. `kind` is what is sent and answered there."""

    name: str
    verbs: tuple[str, ...]
    kind: str
    group: str = ""
    version: str = ""


@dataclass(frozen=True)
class Kind(Generic[M]):
    """One kind of resource.

    `internal` kinds hold sealed material: only the identity that `grants` names may touch them, and
    no listing, dashboard or export shows them to people. `given_schema` is for kinds without a model, those `defined`
    by people among them; all others have the schema of their model. `rules` hold for every write of it. `sealed`: on
    disk only as ciphertext.

    `selectable_absent`: what field selectors read where a selectable field is not there, if not the empty text.
    `scale_selector` says which pods belong to a resource that can be scaled, as the text of a label selector.

    A defined kind can be served in several versions: the catalog knows the one it is kept in, which need not be
    `served`, and `further` are the others. `converted`: its resources may be kept in another version than this one.
    `deprecated`: what whoever uses this version is warned of.

    `invariants` hold for every write, whoever makes it; `references`: the resources of other kinds it cannot do
    without. `keepers`: finalizers that each resource has from its birth and that only its service takes away
    (`crds.invariants`). `name_label`: a label that always says the resource's own name. `passes`: the roles of IAM
    that it gives away. `lends`: what its service does in the place of whoever writes it.

    `upgrades`: each leads stored bodies from one format to the next, the first from 1 to 2 (`crds.formats.Upgrade`).
    """

    name: str
    plural: str
    model: type[M]
    group: str = GROUP
    version: str = VERSION
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    has_status: bool = True
    scale_path: str | None = None
    scale_status_path: str = "status.replicas"
    scale_selector: Callable[[dict[str, Any]], str] | None = field(default=None, compare=False, repr=False)
    internal: bool = False
    sealed: bool = False
    columns: tuple[Column, ...] = ()
    description: str = ""
    verbs: tuple[str, ...] = VERBS
    selectable: tuple[str, ...] = ()
    selectable_absent: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    more_subresources: tuple[Subresource, ...] = ()
    rules: tuple[Rule, ...] = ()
    invariants: tuple[Invariant, ...] = field(default=(), compare=False, repr=False)
    references: tuple[Reference, ...] = field(default=(), compare=False, repr=False)
    passes: PassedRoles | None = field(default=None, compare=False, repr=False)
    lends: Lends | None = field(default=None, compare=False, repr=False)
    keepers: tuple[str, ...] = ()
    keeper: str = ""
    name_label: str = ""
    upgrades: tuple[Upgrade, ...] = field(default=(), compare=False, repr=False)
    given_schema: Schema | None = field(default=None, compare=False, repr=False)
    defined: bool = False
    served: bool = True
    converted: bool = False
    further: tuple[Kind[Any], ...] = field(default=(), compare=False, repr=False)
    all_versions: tuple[str, ...] = ()
    deprecated: str = ""

    @cached_property
    def api_version(self) -> str:
        """`group/version`, or just the version for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def served_versions(self) -> tuple[Kind[Any], ...]:
        """This kind in every version that is served."""
        return (self, *self.further) if self.served else self.further

    def at(self, version: str) -> Kind[Any] | None:
        """This kind in that version; None when it is not served in it."""
        if self.served and version == self.version:
            return self  # nearly always
        return next((each for each in self.further if each.version == version), None)

    def is_version(self, version: str) -> bool:
        """Whether that is this version, or another one of the same kind."""
        return version == self.version or version in self.all_versions

    @cached_property
    def resource(self) -> str:
        """`plural.group`, the name errors and `kubectl` use."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def key(self, name: str, namespace: str | None = None) -> ObjectKey:
        """Where a resource of this kind lives. The namespace is dropped for kinds that live in none."""
        return ObjectKey(self.group, self.plural, (namespace or "default") if self.namespaced else "", name)

    def parse(self, body: bytes | dict[str, Any]) -> M:
        """The typed resource. Strict: `"3"` is no number, and a field has one name alone: a second spelling would be
        read here, and seen by nobody who looked at the body before. Raises pydantic.ValidationError.
        """
        text = body if isinstance(body, bytes) else orjson.dumps(body)
        return self.model.model_validate_json(text, strict=True, by_alias=True, by_name=False)

    def decode(self, body: bytes | dict[str, Any]) -> M:
        """The typed form of what was stored, or sent by a conductor, perhaps of a newer version: fields that this one
        does not know are left out. Requests are judged by `parse`. Raises pydantic.ValidationError.
        """
        text = body if isinstance(body, bytes) else orjson.dumps(body)
        return self.model.model_validate_json(text, strict=True, extra="ignore", by_alias=True, by_name=False)

    def new(self, name: str, *, namespace: str | None = None, **fields: Any) -> M:
        """A resource ready to be created."""
        meta = ObjectMeta(name=name, namespace=namespace if self.namespaced else None)
        return self.model(api_version=self.api_version, kind=self.name, metadata=meta, **fields)

    @cached_property
    def schema(self) -> Schema:
        """The structural schema of the whole resource. Shared: do not change it."""
        return self.given_schema if self.given_schema is not None else schema_of(self.model)

    @cached_property
    def selectable_fields(self) -> frozenset[str]:
        """The paths field selectors may name."""
        return frozenset({"metadata.name", "metadata.namespace", *self.selectable})

    @cached_property
    def subresources(self) -> tuple[Subresource, ...]:
        """Everything that is served below a resource of this kind."""
        found = list(self.more_subresources)
        if self.has_status:
            found.append(Subresource("status", ("get", "patch", "update"), self.name, self.group, self.version))
        if self.scale_path:
            found.append(Subresource("scale", ("get", "patch", "update"), "Scale", "autoscaling", "v1"))
        return tuple(sorted(found, key=lambda each: each.name))

    @cached_property
    def spec_default(self) -> bool:
        """Whether an absent spec means an empty one (no field of it is mandatory)."""
        field = self.model.model_fields.get("spec")
        annotation = field.annotation if field else None
        fields = getattr(annotation, "model_fields", {})
        return not any(each.is_required() for each in fields.values())


def key_of(kind: Kind[Any], resource: KubeObject) -> ObjectKey:
    """Where `resource` lives."""
    return kind.key(resource.metadata.name, resource.metadata.namespace)
