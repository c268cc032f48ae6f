"""ImagePolicy: where the images that run come from. Without a policy, anywhere.

A program of the machine comes from no image, and may be anybody's code: where a policy says what runs, none does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from controller.admission.request import AdmissionRequest
from controller.store.records import Store
from crds.kinds.image_policy import IMAGE_POLICY
from crds.kinds.namespace import NAMESPACE
from crds.kinds.selector import selects
from crds.kinds.service import SERVICE

_HUB, _OFFICIAL = "docker.io", "library"


class Reference(NamedTuple):
    """An image's name, taken apart as Docker does: `nginx` is `docker.io/library/nginx`."""

    repository: str
    tag: str
    digest: str


class Images:
    """Every policy that selects the namespace must agree."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def validate(self, request: AdmissionRequest) -> list[str]:
        if request.kind is not SERVICE or not request.changes_spec or request.new is None:
            return []
        what, before = _what_runs(request.new), _what_runs(request.old)
        policies = self._store.list(IMAGE_POLICY.group, IMAGE_POLICY.plural).records
        if not policies or what in (None, before):
            return []
        room = self._store.get(NAMESPACE.key(request.key.namespace))
        labels = (room.object["metadata"].get("labels") or {}) if room else {}
        for policy in policies:
            spec = policy.object["spec"]
            if selects(spec.get("namespaceSelector"), labels) and (why := _fault(str(what), spec)):
                named = what or "a program of the machine"
                raise request.refused(f"the image policy {policy.key.name} does not let {named} run: {why}")
        return []


def _what_runs(body: Mapping[str, Any] | None) -> str | None:
    """The image; empty for a program; None for a managed service, or when there is nothing."""
    spec = (body or {}).get("spec")
    if not spec or spec.get("managed"):
        return None
    return str(spec.get("image") or "")


def _fault(image: str, spec: dict[str, Any]) -> str:
    if not image:
        return "only images it names do; give an image, or ask an admin for a namespace it does not select"
    reference = read_reference(image)
    if reference is None:
        return "this is no name of an image"
    patterns = [each for rule in spec.get("allow") or () for each in rule["images"]]
    if patterns and not any(means(pattern, reference.repository) for pattern in patterns):
        return f"{reference.repository} is none of {', '.join(patterns)}; push it to one of these, or ask an admin"
    if spec.get("requireDigest") and not reference.digest:
        return f"it must be named by its digest; write {reference.repository}@sha256:..."
    return ""


def means(pattern: str, repository: str) -> bool:
    """`registry/team/*` means everything below, anything else one repository; `nginx` is taken as Docker takes it."""
    if pattern.endswith("/*"):
        return repository.startswith(_whole(pattern[:-1]))
    return repository == _whole(pattern)


def read_reference(image: str) -> Reference | None:
    """None for what Docker would not take either."""
    name, _, digest = image.partition("@")
    if digest and not _is_digest(digest):
        return None
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    path = f"{head}{slash}{last}"
    allowed = "abcdefghijklmnopqrstuvwxyz0123456789._-/"
    host, _, rest = path.partition("/")
    plain = rest if _is_host(host) and rest else path
    if not last or (colon and not tag) or not plain or any(letter not in allowed for letter in plain):
        return None
    if any(part in ("", ".", "..") for part in plain.split("/")):
        return None
    return Reference(_whole(path), tag, digest)


def _whole(path: str) -> str:
    host, slash, rest = path.partition("/")
    if slash and _is_host(host) and host.lower() not in (_HUB, f"index.{_HUB}"):
        return path.lower()
    if slash and _is_host(host):
        path = rest
    return f"{_HUB}/{path}" if "/" in path or not path else f"{_HUB}/{_OFFICIAL}/{path}"


def _is_host(text: str) -> bool:
    named = "." in text or ":" in text or text == "localhost"
    return named and text[0].isalnum() and all(c.isascii() and (c.isalnum() or c in ".-:[]") for c in text)


def _is_digest(text: str) -> bool:
    return text.startswith("sha256:") and len(text) == 71 and all(c in "0123456789abcdef" for c in text[7:])
