"""docs/reference/kinds.md: every kind of the core and of the managed services, from its schema."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from crds.catalog import CORE_KINDS
from crds.kind import GROUP, VERBS, Kind
from crds.schema import INT_OR_STRING, PRESERVE, Schema
from docs.generate.markdown import code, codes, page, paragraph, quoted, table
from services.sdk.discovery import managed_services

LEAD = f"""\
What can exist in a cloud, with every field. Groups and versions are those of the API: `{GROUP}/v1` is ours,
all others are Kubernetes' own. `metadata` is as in Kubernetes everywhere and left out here. Kinds that only show
others (Pods, Deployments, Nodes, ...) are described in [../kubernetes.md](../kubernetes.md)."""
_ENVELOPE = {"apiVersion", "kind", "metadata"}
_CONDITIONS = "status.conditions"
"""The same for every kind: see conditions.md."""
_WORDS = ("status.phase", "status.keyState", "status.instances[].phase", "status.missingDependencies[].reason")
Row = tuple[str, str, str, str]


def kinds_page() -> str:
    """Core kinds in two groups, then those of each managed service."""
    ours = [kind for kind in CORE_KINDS if kind.group == GROUP]
    others = [kind for kind in CORE_KINDS if kind.group != GROUP]
    groups = [("Kinds of the cloud", ours), ("Kinds as in Kubernetes", others)]
    groups += [(f"Kinds of {each.name}", list(each.kinds)) for each in managed_services() if each.kinds]
    return page("Kinds", LEAD, [_contents(groups), *(_group(title, kinds) for title, kinds in groups)])


def _contents(groups: Iterable[tuple[str, list[Kind[Any]]]]) -> str:
    links = (
        (title, ", ".join(f"[{each.name}](#{each.name.lower()})" for each in _sorted(kinds)))
        for title, kinds in groups
    )
    return "\n".join(f"- {title}: {named}" for title, named in links)


def _sorted(kinds: Iterable[Kind[Any]]) -> list[Kind[Any]]:
    return sorted(kinds, key=lambda each: each.name)


def _group(title: str, kinds: Iterable[Kind[Any]]) -> str:
    return "\n\n".join([f"## {title}", *(_kind(each) for each in _sorted(kinds))])


def _kind(kind: Kind[Any]) -> str:
    parts = [f"### {kind.name}", paragraph(kind.description), _facts(kind)]
    if kind.internal:
        parts.append("Internal: only the service whose kind it is may read or write it.")
    else:
        parts.append(table(["Field", "Type", "Default", "Meaning"], _fields(kind)))
    return "\n\n".join(parts)


def _facts(kind: Kind[Any]) -> str:
    names = [kind.plural, *([kind.singular] if kind.singular else []), *kind.short_names]
    facts = {
        "apiVersion": code(kind.api_version),
        "names": codes(names),
        "lives in": "a namespace" if kind.namespaced else "no namespace",
        "verbs": "" if kind.verbs == VERBS else codes(kind.verbs),
        "subresources": codes(each.name for each in kind.subresources),
        "field selectors": codes(sorted(kind.selectable_fields - {"metadata.name", "metadata.namespace"})),
        "columns": ", ".join(each.name for each in kind.columns if each.priority == 0),
        "more with `-o wide`": ", ".join(each.name for each in kind.columns if each.priority > 0),
    }
    return "\n".join(f"- {name}: {text}" for name, text in facts.items() if text)


def _fields(kind: Kind[Any]) -> Iterator[Row]:
    """Depth first, in the order of the model; what has fields of its own comes before them."""
    named = kind.schema.get("properties", {})
    own = {name: each for name, each in named.items() if name not in _ENVELOPE}
    # The API fills in a spec that may be empty.
    required = set(kind.schema.get("required", ())) - ({"spec"} if kind.spec_default else set())
    yield from _rows(own, required, "")


def _rows(properties: Mapping[str, Schema], required: Container[str], path: str) -> Iterator[Row]:
    for name, each in properties.items():
        here = f"{path}{name}"
        default = "required" if name in required else _default(each)
        yield code(here), _type(each), default, _meaning(each, here)
        if here != _CONDITIONS:
            inner, below = _inside(each, here)
            yield from _rows(inner.get("properties", {}), inner.get("required", ()), below)


def _inside(schema: Schema, path: str) -> tuple[Schema, str]:
    """The object within lists and maps, and how its fields are addressed."""
    if schema.get("type") == "array":
        return _inside(schema.get("items", {}), f"{path}[]")
    if isinstance(more := schema.get("additionalProperties"), dict):
        return _inside(more, f"{path}.*")
    return schema, f"{path}."


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(map(quoted, schema["enum"]))
    if INT_OR_STRING in schema:
        return "integer or string"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(more := schema.get("additionalProperties"), dict):
        return f"map of {_type(more)}"
    if PRESERVE in schema and "properties" not in schema:
        return "anything"
    return _plain(schema)


def _plain(schema: Schema) -> str:
    name = str(schema.get("type", "anything"))
    form = f" ({schema['format']})" if "format" in schema else ""
    bounds = [f"{word} {code(schema[key])}" for key, word in _BOUNDS.items() if key in schema]
    return f"{name}{form}{', ' if bounds else ''}{', '.join(bounds)}"


_BOUNDS = {
    "minimum": "from",
    "maximum": "to",
    "minLength": "at least",
    "maxLength": "at most",
    "pattern": "like",
}


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if default in (None, {}, []):
        return ""
    return code(str(default).lower() if isinstance(default, bool) else default)


def _meaning(schema: Schema, path: str) -> str:
    """What the model of this object, or of each item, says of itself; where its words are explained."""
    inner, _ = _inside(schema, "")
    text = str(schema.get("description") or inner.get("description") or "")
    explained = "Words: [conditions.md](conditions.md)." if path in (*_WORDS, _CONDITIONS) else ""
    return f"{text} {explained}".strip()
