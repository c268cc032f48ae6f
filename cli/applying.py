"""`aerekos apply` and `delete -f`: each document is created, changed, or left alone.

Everything is checked before the first write where that can be known; afterwards every document is tried, so one
refusal does not hide the next.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from cli.connecting import Api
from cli.documents import Document
from cli.errors import CliError, Misuse, Refused
from cli.kinds import Kinds, Served
from cli.merging import apply_patch, with_last_applied
from cli.output import complain, say

_STRICT = {"fieldValidation": "Strict"}
_MERGE = {"content-type": "application/merge-patch+json"}
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Placed:
    """A document, and where its resource is or will be."""

    document: Document
    kind: Served
    namespace: str | None

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, self.document.name)

    @property
    def title(self) -> str:
        return f"{self.kind.singular}.{self.kind.group}/{self.document.name}".replace("./", "/")


def place(documents: Sequence[Document], kinds: Kinds, namespace: str | None) -> list[Placed]:
    """Raises Misuse naming every document whose kind is unknown or whose namespace contradicts the command."""
    placed, faults = [], []
    for each in documents:
        kind = kinds.of(each.api_version, each.kind)
        own = each.body["metadata"].get("namespace")
        if kind is None:
            faults.append(f"{each.where}: kind: no kind {each.kind} in {each.api_version}")
        elif namespace and own and own != namespace:
            faults.append(f"{each.where}: metadata.namespace: is {own}, the command says {namespace}")
        else:
            placed.append(Placed(each, kind, (own or namespace or "default") if kind.namespaced else None))
    if faults:
        known = ", ".join(sorted({f"{each.kind} ({each.api_version})" for each in kinds}))
        raise Misuse("\n".join(faults), hint=f"nothing was sent; kinds here: {known}")
    return placed


def apply_all(api: Api, placed: Sequence[Placed], *, dry_run: bool = False) -> None:
    """Says what became of each. Raises CliError when any was refused."""
    failed = 0
    # Namespaces first: what lives in them may come in the same folder.
    for each in sorted(placed, key=lambda p: p.kind.kind != "Namespace"):
        try:
            outcome = apply_one(api, each, dry_run=dry_run)
        except Refused as error:
            failed += 1
            complain(f"{each.document.where}: {each.title}: {error}")
        else:
            say(f"{each.title} {outcome}{' (dry run)' if dry_run else ''}")
    if failed:
        raise CliError(f"{failed} of {len(placed)} refused", hint="correct what is named above, apply again")


def apply_one(api: Api, placed: Placed, *, dry_run: bool = False) -> str:
    """`created`, `configured` or `unchanged`; unchanged writes nothing."""
    params = {**_STRICT, **({"dryRun": "All"} if dry_run else {})}
    body = placed.document.body
    try:
        live = api.get(placed.path)
    except Refused as error:
        if error.status != 404:
            raise
        api.ask("POST", placed.kind.path(placed.namespace), json=with_last_applied(body), params=params)
        return "created"
    patch = apply_patch(body, live)
    if not patch:
        return "unchanged"
    written = api.ask("PATCH", placed.path, json=patch, params=params, headers=_MERGE)
    return "unchanged" if _version(written) == _version(live) else "configured"


def _version(resource: dict[str, dict[str, str]]) -> str | None:
    return resource["metadata"].get("resourceVersion")


def delete_all(
    api: Api,
    targets: Sequence[tuple[Served, str | None, str]],
    *,
    wait: bool,
    timeout: float,
    ignore_missing: bool,
) -> None:
    """Asks for every deletion first, then waits for all. Raises CliError when any was refused."""
    failed, asked = 0, []
    for kind, namespace, name in targets:
        try:
            uid = _uid(api.get(kind.path(namespace, name)))
            api.ask("DELETE", kind.path(namespace, name))
        except Refused as error:
            if error.status == 404 and ignore_missing:
                continue
            failed += 1
            complain(str(error))
            continue
        say(f"{kind.singular}/{name} deleted")
        asked.append((kind.path(namespace, name), uid))
    if wait:
        _wait_until_gone(api, asked, timeout)
    if failed:
        raise CliError(f"{failed} of {len(targets)} could not be deleted", hint="see them: aerekos get KIND -A")


def _uid(resource: dict[str, dict[str, str]]) -> str | None:
    return (resource.get("metadata") or {}).get("uid")


def _wait_until_gone(api: Api, asked: Sequence[tuple[str, str | None]], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    for path, uid in asked:
        while _is_there(api, path, uid):
            if time.monotonic() > deadline:
                hint = "see its finalizers and conditions: aerekos describe KIND NAME"
                raise CliError(f"{path} is not gone after {timeout:g} s", hint=hint)
            time.sleep(_LOOK_SECONDS)


def _is_there(api: Api, path: str, uid: str | None) -> bool:
    """The same one: a new resource of that name does not count."""
    try:
        return uid is None or _uid(api.get(path)) == uid
    except Refused as error:
        if error.status == 404:
            return False
        raise
