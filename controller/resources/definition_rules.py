"""Rules of a CustomResourceDefinition besides the types of its fields: names, versions, paths, schemas.

Source: validation of Kubernetes apiextensions.k8s.io/v1. Works on the definition as it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controller.kit.patterns import Work
from controller.resources.json_path import JsonPathError, compile_path, is_path
from controller.resources.schema_rules import schema_faults
from controller.resources.schema_words import rules_in
from crds.errors import Cause
from crds.names import host_label_fault, subdomain_fault
from crds.schema import INT_OR_STRING

APPROVED = "api-approved.kubernetes.io"
MOST_SELECTABLE = 8
Body = Mapping[str, Any]
# Groups of ours and of Kubernetes itself: whoever writes to them means the kinds that clients have compiled in.
_OURS = "aerekos.cloud"
_CORE = frozenset(
    f"{each}k8s.io"
    for each in ("", "admission.", "admissionregistration.", "apidiscovery.", "apiextensions.", "apiregistration.",
                 "audit.", "authentication.", "authorization.", "certificates.", "client.authentication.",
                 "coordination.", "custom.metrics.", "discovery.", "events.", "external.metrics.",
                 "flowcontrol.apiserver.", "imagepolicy.", "internal.apiserver.", "meta.", "metrics.", "networking.",
                 "node.", "policy.", "rbac.authorization.", "resource.", "scheduling.", "settings.", "storage.",
                 "storagemigration.")
)  # fmt: skip
_COMMUNITY = ("k8s.io", "kubernetes.io")


def definition_faults(body: Body) -> list[Cause]:
    """Every reason to refuse the definition, but for what else there is in its cloud."""
    spec, work = body["spec"], Work()
    found = [*_name_faults(body), *_group_faults(body), *_version_faults(spec)]
    for n, version in enumerate(spec["versions"]):
        found += _served_faults(version, f"spec.versions[{n}]", work)
    return found


def expressions_of(body: Body) -> list[tuple[str, str, str]]:
    """Place, text and type of every expression in CEL. Only of a definition without `definition_faults`."""
    found: list[tuple[str, str, str]] = []
    for n, version in enumerate(body["spec"]["versions"]):
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        found += rules_in(schema, f"spec.versions[{n}].schema.openAPIV3Schema")
    return found


def definition_warnings(body: Body) -> list[str]:
    """What of it is kept, but has no effect here."""
    found = []
    if count := sum(wanted == "BOOL" for _, _, wanted in expressions_of(body)):
        found.append(f"{count} x-kubernetes-validations of its schemas are kept, but not carried out here")
    if (body["spec"].get("conversion") or {}).get("strategy") == "Webhook":
        found.append("spec.conversion: webhooks are not asked here; only the storage version is served")
    return found


def changed_faults(old: Body, new: Body) -> Iterator[Cause]:
    """What another definition of the same name may not change: what exists would be out of reach."""
    before, after = old["spec"], new["spec"]
    places = (("group",), ("scope",), ("names", "kind"), ("names", "plural"))
    for place in places:
        was, wanted = _at(before, place), _at(after, place)
        if was != wanted:
            yield _wrong(f"spec.{'.'.join(place)}", wanted, f"field is immutable; it is {was!r}")
    if all_alike(before) and all_alike(after):
        return  # what is kept in a version that is gone is shown in the others
    named = {each["name"] for each in after["versions"]}
    for n, stored in enumerate((old.get("status") or {}).get("storedVersions") or ()):
        if stored not in named:
            why = "must appear in spec.versions: resources may be kept in it, and nobody converts them"
            yield _wrong(f"status.storedVersions[{n}]", stored, why)


def all_alike(spec: Body) -> bool:
    """Whether a version of that kind differs from another in its apiVersion alone."""
    return ((spec.get("conversion") or {}).get("strategy") or "None") == "None"


def _at(spec: Body, place: tuple[str, ...]) -> Any:
    value: Any = spec
    for name in place:
        value = value[name]
    return value


def _name_faults(body: Body) -> Iterator[Cause]:
    spec, name = body["spec"], body["metadata"].get("name")
    names = spec["names"]
    if name != f"{names['plural']}.{spec['group']}":
        yield Cause("metadata.name", f"Invalid value: {name!r}: must be {names['plural']}.{spec['group']}")
    given = [("plural", names["plural"]), ("singular", names.get("singular")), ("kind", names["kind"].lower())]
    given.append(("listKind", (names.get("listKind") or "").lower()))
    for word in ("shortNames", "categories"):
        given += ((f"{word}[{n}]", each) for n, each in enumerate(names.get(word) or ()))
    for field, text in given:
        if text and (fault := host_label_fault(text)):
            yield _wrong(f"spec.names.{field}", text, fault)
    for field in ("kind", "listKind"):
        if "-" in (names.get(field) or ""):
            yield _wrong(f"spec.names.{field}", names[field], "must be letters and digits, as in MyKind")
    if names.get("listKind") == names["kind"]:
        yield _wrong("spec.names.listKind", names["kind"], "kind and listKind may not be the same")


def _group_faults(body: Body) -> Iterator[Cause]:
    group = body["spec"]["group"]
    if fault := subdomain_fault(group):
        yield _wrong("spec.group", group, fault)
    elif group in _CORE or _is_in(group, _OURS) or group == "kubernetes.io":
        yield _wrong("spec.group", group, "is reserved; use a domain of your own")
    elif any(_is_in(group, each) for each in _COMMUNITY):
        field, told = f"metadata.annotations[{APPROVED}]", (body["metadata"].get("annotations") or {}).get(APPROVED)
        if not told:
            yield Cause(field, f"Required value: {group} belongs to the Kubernetes community: its definitions carry "
                        f"the annotation {APPROVED}", "FieldValueRequired")  # fmt: skip
        elif not told.startswith("unapproved") and not _is_url(told):
            yield _wrong(field, told, 'must be the URL of its approval, or begin with "unapproved"')


def _is_in(group: str, domain: str) -> bool:
    return group == domain or group.endswith(f".{domain}")


def _is_url(text: str) -> bool:
    scheme, found, rest = text.partition("://")
    return bool(found) and scheme in ("https", "http") and bool(rest.partition("/")[0]) and " " not in text


def _version_faults(spec: Body) -> Iterator[Cause]:
    seen: set[str] = set()
    for n, version in enumerate(spec["versions"]):
        name = version["name"]
        if fault := host_label_fault(name):
            yield _wrong(f"spec.versions[{n}].name", name, fault)
        if name in seen:
            yield Cause(f"spec.versions[{n}].name", f"Duplicate value: {name}", "FieldValueDuplicate")
        seen.add(name)
    for n, version in enumerate(spec["versions"]):
        if version.get("deprecationWarning") and not version.get("deprecated"):
            yield _wrong(f"spec.versions[{n}].deprecationWarning", version["deprecationWarning"],
                         "can only be set for deprecated versions")  # fmt: skip


def _served_faults(version: Body, path: str, work: Work) -> Iterator[Cause]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if not schema:
        yield Cause(f"{path}.schema.openAPIV3Schema", "Required value: schemas are required", "FieldValueRequired")
        return
    yield from schema_faults(schema, f"{path}.schema.openAPIV3Schema", work)
    for n, column in enumerate(version.get("additionalPrinterColumns") or ()):
        yield from _path_faults(column["jsonPath"], f"{path}.additionalPrinterColumns[{n}].jsonPath")
        if not column["name"]:
            yield Cause(f"{path}.additionalPrinterColumns[{n}].name", "Required value", "FieldValueRequired")
    yield from _scale_faults((version.get("subresources") or {}).get("scale") or {}, f"{path}.subresources.scale")
    yield from _selectable_faults(version.get("selectableFields") or (), schema, f"{path}.selectableFields")


def _path_faults(text: str, path: str) -> Iterator[Cause]:
    try:
        if not is_path(text):
            raise JsonPathError("must begin with a dot")
        compile_path(text)
    except JsonPathError as wrong:
        yield _wrong(path, text, f"{wrong}")


def _scale_faults(scale: Body, path: str) -> Iterator[Cause]:
    rooms = {"specReplicasPath": (".spec.",), "statusReplicasPath": (".status.",),
             "labelSelectorPath": (".status.", ".spec.")}  # fmt: skip
    for field, begins in rooms.items():
        given = scale.get(field)
        if given is None or (field == "labelSelectorPath" and not given):
            continue
        if not given.startswith(begins) or "[" in given or "" in given.split(".")[1:]:
            yield _wrong(f"{path}.{field}", given, f"must be a path of names under {' or '.join(begins)}")


def _selectable_faults(fields: Any, schema: Body, path: str) -> Iterator[Cause]:
    if len(fields) > MOST_SELECTABLE:
        yield Cause(path, f"Too many: {len(fields)}: must have at most {MOST_SELECTABLE} items", "FieldValueTooMany")
    seen: set[str] = set()
    for n, each in enumerate(fields):
        text, at = each["jsonPath"], f"{path}[{n}].jsonPath"
        if text in seen:
            yield Cause(at, f"Duplicate value: {text}", "FieldValueDuplicate")
        seen.add(text)
        if not text.startswith(".") or text.startswith(".metadata") or _type_at(schema, text[1:].split(".")) not in (
            "string", "integer", "boolean",
        ):  # fmt: skip
            yield _wrong(at, text, "must be the path of a string, integer or boolean of the schema")


def _type_at(schema: Any, names: list[str]) -> str | None:
    for name in names:
        schema = (schema.get("properties") or {}).get(name)
        if not isinstance(schema, dict):
            return None
    return None if schema.get(INT_OR_STRING) else schema.get("type")


def _wrong(field: str, value: Any, why: str) -> Cause:
    return Cause(field, f"Invalid value: {value!r}: {why}")
