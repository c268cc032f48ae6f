"""From method, path and query to the operation, by the model's URI templates: `/{Bucket}/{Key+}?uploads`.

Where several templates fit, constants in the query decide first, then what the request says that only one of them
knows, then members that an operation cannot be without (`uploadId`, `x-amz-copy-source`). One walk through a tree of
segments; nothing is tried twice.
Source: Smithy "http trait"; the S3 API reference for its sub-resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from services.sdk.aws.model import ServiceModel
from services.sdk.aws.protocols.messages import HttpRequest
from services.sdk.aws.protocols.query_values import form_pairs
from services.sdk.aws.protocols.shapes import input_ref

_MOST_SEGMENTS = 64
# In every signed or generated query; they name no operation.
_SILENT = ("x-amz-", "x-id")


class Template(NamedTuple):
    """One operation's address. `labels`: by their place; a greedy one takes all that is left."""

    operation: str
    segments: tuple[str, ...]
    constants: Mapping[str, str | None]
    known: frozenset[str]
    needed_query: frozenset[str]
    needed_headers: frozenset[str]
    is_current: bool


class _Branch:
    """Segments below one prefix."""

    __slots__ = ("ends", "greedy", "label", "literal")

    def __init__(self) -> None:
        self.literal: dict[str, _Branch] = {}
        self.label: _Branch | None = None
        self.greedy: list[Template] = []
        self.ends: list[Template] = []


class UriRouter:
    """Routes one service's requests. `operations`: those that are served; all, when there are none."""

    def __init__(self, model: ServiceModel, operations: Iterable[str] | None = None) -> None:
        self.templates = {name: template_of(model, name) for name in operations or model.operations}
        self._roots: dict[str, _Branch] = {}
        for name, template in self.templates.items():
            method = str(model.operations[name]["http"].get("method", "POST"))
            _plant(self._roots.setdefault(method, _Branch()), template)

    def operation(self, request: HttpRequest) -> str | None:
        """The operation's name, or None. Raises ValueError for a query that is none."""
        root = self._roots.get(request.method)
        found = [] if root is None else _walk(root, segments_of(request.path))
        if not found:
            return None
        query = dict(form_pairs(request.query))
        fitting = [each for each in found if _fits(each, query)]
        best = max(fitting, key=lambda each: _rank(each, query, request.headers), default=None)
        return best.operation if best else None


def template_of(model: ServiceModel, operation: str) -> Template:
    """The address of one operation."""
    path, _, query = str(model.operations[operation]["http"]["requestUri"]).partition("?")
    constants: dict[str, str | None] = {}
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        constants[name] = value if equals else None
    members = (ref.members if (ref := input_ref(model, operation)) else {}).items()
    required = set(ref.required) if ref else set()
    places = [(each.trait("location"), each.location_name or name, name in required) for name, each in members]
    queries = frozenset(name for place, name, _ in places if place == "querystring")
    needed = frozenset(name for place, name, must in places if place == "querystring" and must)
    headers = frozenset(name.lower() for place, name, must in places if place == "header" and must)
    current, known = not model.operations[operation].get("deprecated"), queries | set(constants)
    return Template(operation, _template_segments(path), constants, known, needed, headers, current)


def segments_of(path: str) -> list[str]:
    """The raw segments."""
    return path.removeprefix("/").split("/")


def labels_of(template: Template, path: str) -> dict[str, str]:
    """The labels of a path this template fits, decoded. Raises ValueError for what is not UTF-8."""
    parts = segments_of(path)
    found = {}
    for index, segment in enumerate(template.segments):
        if segment.startswith("{"):
            raw = "/".join(parts[index:]) if segment.endswith("+}") else parts[index]
            found[segment.strip("{+}")] = unquote_to_bytes(raw).decode()
    return found


def _template_segments(path: str) -> tuple[str, ...]:
    found = tuple(path.strip("/").split("/")) if path.strip("/") else ()
    for each in found:
        if "{" in each and not (each.startswith("{") and each.endswith("}")):
            raise ValueError(f"a label is a whole segment, not a part of {each!r}")
    return found


def _plant(branch: _Branch, template: Template) -> None:
    for segment in template.segments:
        if segment.endswith("+}"):
            branch.greedy.append(template)
            return
        if segment.startswith("{"):
            branch.label = branch = branch.label or _Branch()
        else:
            branch = branch.literal.setdefault(segment, _Branch())
    branch.ends.append(template)


def _walk(branch: _Branch, segments: list[str]) -> list[Template]:
    """All templates for the most exact address: literal before label before greedy."""
    greedy: list[Template] = []
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if last and not segment:
            break  # a slash at the end says nothing
        if branch.greedy and (segment or not last):
            greedy = branch.greedy
        below = branch.literal.get(segment) or (branch.label if segment else None)
        if below is None or index > _MOST_SEGMENTS:
            return greedy
        branch = below
    return branch.ends or greedy


def _fits(template: Template, query: Mapping[str, str]) -> bool:
    return all(
        name in query and (value is None or query[name] == value) for name, value in template.constants.items()
    )


def _rank(template: Template, query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[Any, ...]:
    told = [name for name in query if not name.lower().startswith(_SILENT)]
    unknown = sum(name not in template.known for name in told)
    needed = [name in query for name in template.needed_query] + [name in headers for name in template.needed_headers]
    return len(template.constants), -unknown, all(needed), sum(needed), template.is_current
