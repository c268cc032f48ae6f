"""Bounds of a resource and its metadata: all of it is kept in memory and told to watchers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crds.errors import Cause
from crds.names import label_key_fault, path_segment_fault

OBJECT_BYTES = 1_572_864  # what etcd takes at most, and so Kubernetes
ANNOTATION_BYTES = 256 * 1024  # TotalAnnotationSizeLimitB of apimachinery
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
LABELS, FINALIZERS, OWNERS, MANAGERS = 256, 64, 64, 128
_LONGEST_PREFIX = 253 - 6
_FIELDS = {"labels": LABELS, "finalizers": FINALIZERS, "ownerReferences": OWNERS, "managedFields": MANAGERS}


def metadata_faults(
    meta: Mapping[str, Any], old: Mapping[str, Any] | None, *, domains: bool = False
) -> Iterator[Cause]:
    """The faults of metadata that is too much. What was there before may stay as it is: records of an earlier version
    still change.

    `domains`: finalizers must say whose they are, as those of Kubernetes's own kinds.
    """
    before = old or {}
    for name, most in _FIELDS.items():
        given = meta.get(name)
        if given and given != before.get(name) and len(given) > max(most, len(before.get(name) or ())):
            yield Cause(
                f"metadata.{name}", f"Too many: {len(given)}: must have at most {most} items", "FieldValueTooMany"
            )
    annotations = meta.get("annotations") or {}
    if annotations != before.get("annotations") and (size := _size(annotations)) > ANNOTATION_BYTES:
        yield Cause("metadata.annotations", f"Too long: {size}: may not be more than {ANNOTATION_BYTES} bytes",
                    "FieldValueTooLong")  # fmt: skip
    if len(meta.get("generateName") or "") > _LONGEST_PREFIX:
        yield Cause("metadata.generateName", f"Too long: may not be more than {_LONGEST_PREFIX} characters",
                    "FieldValueTooLong")  # fmt: skip
    yield from _finalizer_faults(meta.get("finalizers") or (), before.get("finalizers") or (), domains=domains)
    if meta.get("ownerReferences") != before.get("ownerReferences"):
        yield from _owner_faults(meta.get("ownerReferences") or ())


def _size(annotations: Mapping[str, Any]) -> int:
    return sum(len(str(name).encode()) + len(str(value).encode()) for name, value in annotations.items())


def _finalizer_faults(finalizers: Any, before: Any, *, domains: bool) -> Iterator[Cause]:
    new = [str(each) for each in finalizers if each not in before]
    for each in new:
        fault = label_key_fault(each)
        if domains and not fault and "/" not in each and each not in _STANDARD_FINALIZERS:
            fault = "name is neither a standard finalizer name nor is it fully qualified"
        if fault:
            yield Cause("metadata.finalizers", f"Invalid value: {each[:100]!r}: {fault}")
    if new and {"orphan", "foregroundDeletion"} <= set(finalizers):
        yield Cause("metadata.finalizers", "Invalid value: orphan and foregroundDeletion cannot be both set")


def _owner_faults(owners: Any) -> Iterator[Cause]:
    controllers = 0
    for n, each in enumerate(owners):
        controllers += bool(each.get("controller"))
        for name in ("apiVersion", "kind", "name", "uid"):
            if not each.get(name) or path_segment_fault(str(each[name]).replace("/", "-")):
                yield Cause(f"metadata.ownerReferences[{n}].{name}", "Invalid value: must be a name and not be empty")
    if controllers > 1:
        yield Cause("metadata.ownerReferences", "Invalid value: Only one reference can have Controller set to true")
