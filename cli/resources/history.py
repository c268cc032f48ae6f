"""`aerekos history` and `aerekos undo`: every version of what was wanted of a resource, and the way back to one.

A version differs from the one before in more than its status. What a resource stands for (objects of a bucket, rows
of a database) is no part of it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from cli.api_client import ApiClient
from cli.output import as_json, as_yaml
from cli.resources.diff import MOVING, differing_lines, live_object, wished
from cli.resources.kinds import Served, discover
from cli.resources.references import resolve
from cli.tables import grid
from controller.main.errors import Misuse, UserError

OUTPUTS = ("table", "json", "yaml")
_WISHED, _NOT_WISHED = ("labels", "annotations"), ("metadata", "status")
_STRICT = {"fieldValidation": "Strict"}
_MOST = 1000
_SHOWN_FIELDS = 4
# Set by the cloud, each time anew.
_GIVEN = (*MOVING, "deletionTimestamp", "deletionGracePeriodSeconds", "finalizers", "ownerReferences")


@dataclass(frozen=True, slots=True)
class Version:
    """A resource as it was from `revision` on. `gone`: it was deleted there, and `resource` is its last state."""

    revision: int
    verb: str
    time: str
    by: str
    resource: dict[str, Any]

    @property
    def gone(self) -> bool:
        return self.verb == "deleted"


@dataclass(frozen=True, slots=True)
class Subject:
    """The one resource all of this is about."""

    kind: Served
    namespace: str
    name: str

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, self.name)

    @property
    def title(self) -> str:
        return self.kind.title(self.name)


def subjects(api: ApiClient, words: list[str], namespace: str | None, example: str) -> list[Subject]:
    """The resources somebody named; of what is only shown, the one behind it. Raises Misuse."""
    kinds = discover(api)
    named = resolve(kinds, words, "get", example)
    return [Subject(kinds.stored(kind), namespace or "default", name) for kind, name in named]


def versions(api: ApiClient, about: Subject, *, status: bool = False) -> list[Version]:
    """Oldest first. Raises Refused when the history knows nothing of it."""
    asked = {"limit": str(_MOST), **({"status": "true"} if status else {})}
    answer = api.get(f"/history{about.path}", params=asked)
    return [Version(**each) for each in answer["versions"]]


def shown(api: ApiClient, about: Subject, output: str, *, status: bool) -> str:
    """Its versions, newest last. Raises Misuse, Refused."""
    if output not in OUTPUTS:
        raise Misuse(f'-o: "{output}" is not known', hint=f"one of {', '.join(OUTPUTS)}")
    found = versions(api, about, status=status)
    if output != "table":
        told = [{name: getattr(each, name) for name in Version.__slots__} for each in found]
        return as_json(told) if output == "json" else as_yaml(told)
    before: Version | None = None
    rows = []
    for each in found:
        rows.append([each.revision, each.time[:19] + "Z", each.verb, each.by, _what(before, each, status)])
        before = each
    return grid(["REVISION", "TIME", "VERB", "BY", "WHAT CHANGED"], rows)


def undo(api: ApiClient, about: Subject, to: int = 0, *, dry_run: bool = False) -> str:
    """Make it what it was at revision `to`; 0: before its last change. What was done, in words.

    Raises Misuse for a revision that is not kept, UserError when there is no way back, Refused.
    """
    found = versions(api, about)
    wanted = _wanted(found, to, about)
    text = recreate(api, about, wanted, dry_run) if found[-1].gone else put_back(api, about, wanted, dry_run)
    return f"{text}\n(nothing was changed: --dry-run)" if dry_run else text


def _wanted(found: list[Version], to: int, about: Subject) -> Version:
    if to:
        wanted = next((each for each in reversed(found) if each.revision <= to), None)
        if wanted is None:
            raise Misuse(f"revision {to} of {about.title} is not kept", hint=f"aerekos history {about.title}")
    elif found[-1].gone:
        return found[-1]
    elif len(found) < 2:
        text = f"{about.title} has not been changed since {found[0].time[:19]}Z, or that is too long ago to be kept"
        raise UserError(text, hint=f"aerekos history {about.title}")
    else:
        wanted = found[-2]
    if wanted.gone:
        raise UserError(
            f"{about.title} was not there then: to have it so again, delete it", hint=f"aerekos delete {about.title}"
        )
    return wanted


def recreate(api: ApiClient, about: Subject, wanted: Version, dry_run: bool) -> str:
    """Make it as in that version. What was done, in words. Raises Refused."""
    body = {key: value for key, value in wanted.resource.items() if key != "status"}
    body["metadata"] = {key: value for key, value in body["metadata"].items() if key not in _GIVEN}
    api.ask("POST", about.kind.path(about.namespace), json=body, params=_how(dry_run))
    return f"{about.title} made again as it was in revision {wanted.revision}"


def put_back(api: ApiClient, about: Subject, wanted: Version, dry_run: bool) -> str:
    """Change it to what it was in that version. The difference, and what was done. Raises Refused, UserError."""
    live: dict[str, Any] = api.get(about.path)
    if live["metadata"].get("deletionTimestamp"):
        raise UserError(
            f"{about.title} is being deleted; undo that once it is gone", hint="aerekos wait --for delete"
        )
    body = _as_then(live, wanted.resource)
    changes = differing_lines(live, body, f"{about.title} (now)", f"{about.title} (revision {wanted.revision})")
    if not changes:
        return f"{about.title} is as in revision {wanted.revision} already"
    api.ask("PUT", about.path, json=body, params=_how(dry_run))
    return f"{changes}\n{about.title} is as in revision {wanted.revision} again"


def is_as_then(live: dict[str, Any], then: dict[str, Any]) -> bool:
    """Whether `put_back` to that state has nothing to change, nor to refuse."""
    return not live["metadata"].get("deletionTimestamp") and wished(live) == wished(_as_then(live, then))


def _as_then(live: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """Labels, annotations and all that is wanted from `then`; identity, status and version of `live`, so that a
    change in between is not overwritten.
    """
    meta = {key: value for key, value in live["metadata"].items() if key not in _WISHED}
    meta |= {key: then["metadata"][key] for key in _WISHED if key in then["metadata"]}
    wish = {key: value for key, value in copy.deepcopy(then).items() if key not in _NOT_WISHED}
    return {**{key: live[key] for key in live if key in wish or key in _NOT_WISHED}, **wish, "metadata": meta}


def _how(dry_run: bool) -> dict[str, str]:
    return {**_STRICT, **({"dryRun": "All"} if dry_run else {})}


def _what(before: Version | None, after: Version, status: bool) -> str:
    """Paths of the fields that differ, the first few of them."""
    if after.gone or before is None or before.gone:
        return ""
    fields = _differing(_flat(before.resource, status), _flat(after.resource, status))
    more = len(fields) - _SHOWN_FIELDS
    return ", ".join(fields[:_SHOWN_FIELDS]) + (f" and {more} more" if more > 0 else "")


def _flat(resource: dict[str, Any], status: bool) -> dict[str, Any]:
    """Its fields to the second level: `spec.image`, `metadata.labels`."""
    found: dict[str, Any] = {}
    shown = {**wished(resource), **({"status": resource.get("status") or {}} if status else {})}
    for key, value in shown.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        found |= {f"{key}.{name}" if name else key: each for name, each in inner}
    found.pop("metadata.finalizers", None)
    return found


def _differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def difference(api: ApiClient, about: Subject, revision: str) -> str:
    """A unified diff from what it was at `revision` to what it is now; empty when nothing differs. Raises Refused."""
    then, now = _at(api, about, revision), live_object(api, about.path)
    return differing_lines(then, now, f"{about.title} (revision {revision})", f"{about.title} (now)")


def _at(api: ApiClient, about: Subject, revision: str) -> dict[str, Any]:
    asked = {"resourceVersion": revision, "resourceVersionMatch": "Exact"}
    listed = api.get(
        about.kind.path(about.namespace), params={**asked, "fieldSelector": f"metadata.name={about.name}"}
    )["items"]
    return next(iter(listed), {})
