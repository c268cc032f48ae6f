"""A request to the resource API, taken apart: which verb on which resource, with which options.

Paths as Kubernetes has them: /api/v1/..., /apis/{group}/{version}/[namespaces/{ns}/]{plural}[/{name}[/{sub}]].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import unquote

from api.auth.authorizer import Action
from api.auth.principal import MASTERS, Principal
from api.kube import protobuf_bodies
from api.kube.parsing import parse_json, parse_yaml
from controller.admission.request import May, Requester
from controller.resources.strategy import WriteOptions
from controller.resources.validation import FieldValidation
from crds.errors import BadRequest, NotFound, UnsupportedMedia
from crds.kind import Kind
from crds.kinds.namespace import NAMESPACE
from crds.meta import ObjectKey
from crds.names import SUBDOMAIN_MAX, path_segment_fault

_LONGEST_MANAGER = 128
_TRUE = frozenset({"1", "t", "true", "True", "TRUE"})


class ResourcePath(NamedTuple):
    """The resource or collection a path points at. `name` empty means the collection; `namespace` None means all of
    them.
    """

    kind: Kind[Any]
    namespace: str | None
    name: str
    subresource: str

    @property
    def key(self) -> ObjectKey:
        return self.kind.key(self.name, self.namespace)

    @property
    def room(self) -> str:
        """The namespace it is judged in; empty for all. As in Kubernetes, a namespace counts as inside itself: a role
        in it may show it.
        """
        return self.namespace or (self.name if self.kind is NAMESPACE else "")


class KindLookup(Protocol):
    """Kinds by their place: the catalog, or views."""

    def find(self, group: str, plural: str) -> Kind[Any] | None: ...


def find_target(path: str, catalog: KindLookup, views: KindLookup | None = None) -> ResourcePath:
    """`path` as it came, undecoded. Raises NotFound for a path that serves nothing, BadRequest for one whose parts
    would mean something else to who decodes it twice or resolves its dots."""
    parts = _segments(path)
    if parts[0] == "api":
        group, parts = "", parts[1:]
    elif len(parts) > 1:
        group, parts = parts[1], parts[2:]
    if len(parts) < 2:
        raise not_served()
    version, parts = parts[0], parts[1:]
    namespace: str | None = None
    # /namespaces/{name} alone is the Namespace itself, and so are its subresources.
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    kind = catalog.find(group, parts[0]) or (views.find(group, parts[0]) if views else None)
    kind = kind.at(version) if kind else None
    if kind is None or len(parts) > 3:
        raise not_served()
    if (namespace is not None) and not kind.namespaced:
        raise not_served()
    name = parts[1] if len(parts) > 1 else ""
    if kind.namespaced and name and namespace is None:
        raise not_served()
    return ResourcePath(kind, namespace, name, parts[2] if len(parts) > 2 else "")


def _segments(path: str) -> list[str]:
    """Decoded once, and each a good one. Nearly all paths show at a glance that they are."""
    parts = path.strip("/").split("/")
    if len(path) <= SUBDOMAIN_MAX and path.isprintable() and "%" not in path and "/." not in path and path[:1] == "/":
        return parts
    return [_segment(part) for part in parts]


def _segment(raw: str) -> str:
    """Decoded once."""
    part = unquote(raw) if "%" in raw else raw
    if part and (fault := path_segment_fault(part)):
        raise BadRequest(f"a part of the path {fault}")
    return part


def not_served() -> NotFound:
    """The refusal of a path behind which there is nothing, in the words of Kubernetes."""
    return NotFound("the server could not find the requested resource")


@dataclass(slots=True)
class ApiRequest:
    """One request, with its asker. `params` keeps the last value of each query parameter."""

    method: str
    target: ResourcePath
    params: dict[str, str]
    headers: Mapping[bytes, bytes]
    who: Principal
    may: May
    body: bytes = b""
    doubled: list[str] = field(default_factory=list)
    """Fields that stood twice in the body that was read last, and are warned of."""
    verb: str = field(init=False)
    """The RBAC verb of this request."""

    def __post_init__(self) -> None:
        self.verb = self._verb()

    def _verb(self) -> str:
        collection = not self.target.name
        match self.method:
            case "GET" | "HEAD":
                if collection:
                    return "watch" if self.flag("watch") else "list"
                return "get"
            case "DELETE":
                return "deletecollection" if collection else "delete"
            case "POST":
                return "create"
            case "PUT":
                return "update"
            case _:
                return "patch"

    @property
    def action(self) -> Action:
        """The action that the authorizer is asked about."""
        target = self.target
        resource = f"{target.kind.plural}/{target.subresource}" if target.subresource else target.kind.plural
        return Action(self.verb, target.kind.group, resource, target.room, target.name)

    @property
    def how(self) -> WriteOptions:
        """Options of a write. Raises BadRequest for options that make no sense."""
        dry_run = self.params.get("dryRun", "")
        if dry_run not in ("", "All"):
            raise BadRequest(f'dryRun: unsupported value "{dry_run}"; the only one is "All"')
        validation = self.params.get("fieldValidation", "") or "Warn"
        if validation not in ("Strict", "Warn", "Ignore"):
            raise BadRequest(f'fieldValidation: unsupported value "{validation}"; use Strict, Warn or Ignore')
        by = f"{self.who.name} (by {self.who.acting})" if self.who.acting else self.who.name
        named = self.params.get("fieldManager", "")
        if len(named) > _LONGEST_MANAGER or not named.isprintable():
            raise BadRequest(f"fieldManager: must be printable and of at most {_LONGEST_MANAGER} characters")
        manager = named or self.header(b"user-agent").partition("/")[0][:_LONGEST_MANAGER]
        return WriteOptions(
            by, dry_run == "All", cast(FieldValidation, validation), manager, bool(named), self.requester
        )

    @property
    def requester(self) -> Requester:
        """The asker, as admission knows somebody."""
        who = self.who
        ours = bool(MASTERS in who.groups or ((who.service or who.worker) and not who.acting))
        return Requester(who.name, who.groups, self.may, who.uid, ours)

    def manifest(self) -> dict[str, Any]:
        """The body as a JSON object (YAML is accepted when its Content-Type says so). Raises BadRequest."""
        return self.object(self.content_type)

    def object(self, content_type: str) -> dict[str, Any]:
        """The body as a JSON object of that content type. Raises BadRequest, UnsupportedMedia, TooLarge."""
        self.doubled.clear()
        found = read_object(self.body, content_type, self.doubled)
        self._judge_doubled()
        return found

    def json(self) -> Any:
        """The body as any JSON value. Raises BadRequest."""
        self.doubled.clear()
        found = parse_json(self.body, self.doubled)
        self._judge_doubled()
        return found

    def _judge_doubled(self) -> None:
        match self.how.validation if self.doubled else "Ignore":
            case "Strict":
                raise BadRequest("strict decoding error: " + ", ".join(map(duplicate, self.doubled)))
            case "Ignore":
                self.doubled.clear()

    def flag(self, name: str) -> bool:
        """Whether that query parameter says true."""
        return self.params.get(name) in _TRUE

    def header(self, name: bytes) -> str:
        """The value of that header (lower case); empty when there is none."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def content_type(self) -> str:
        return self.header(b"content-type").partition(";")[0].strip().lower()


def duplicate(path: str) -> str:
    """What somebody is told whose body has that field twice."""
    return f'duplicate field "{path}"'


def read_object(body: bytes, content_type: str, doubled: list[str] | None = None) -> dict[str, Any]:
    """`doubled` is told the fields that stand twice.

    Raises BadRequest when `body` is not one JSON (YAML, protobuf) object, TooLarge for much YAML.
    """
    if content_type == protobuf_bodies.CONTENT_TYPE or body.startswith(protobuf_bodies.MAGIC):
        return protobuf_bodies.read_protobuf(body)
    # No content type at all is taken for JSON, as the real API server does.
    if content_type and not content_type.endswith(("json", "yaml")):
        raise UnsupportedMedia(f"cannot read {content_type}; send application/json or application/yaml")
    parsed = (parse_yaml if "yaml" in content_type else parse_json)(body, doubled)
    if not isinstance(parsed, dict):
        raise BadRequest("the request body must be one JSON object")
    meta = parsed.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        raise BadRequest("metadata must be a JSON object")
    return parsed


def as_seconds(params: dict[str, str], name: str) -> float | None:
    """A non-negative number of seconds, or None when it was not given. Raises BadRequest."""
    return None if (number := as_count(params, name)) is None else float(number)


def as_count(params: dict[str, str], name: str) -> int | None:
    """A non-negative whole number, or None when it was not given. Raises BadRequest."""
    text = params.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadRequest(f"{name}: {text!r} is not a whole number of at least 0")
    return int(text)
