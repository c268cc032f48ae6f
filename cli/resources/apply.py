"""`aerekos apply`: each document is created, changed, or left alone.

Everything is checked before the first write where that can be known; afterwards every document is tried, so one
refusal does not hide the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.output import complain, say
from cli.resources.kinds import Kinds, Served
from cli.resources.manifests import ManifestDocument
from cli.resources.three_way_merge import apply_patch, with_last_applied
from controller.main.errors import Misuse, UserError

_STRICT = {"fieldValidation": "Strict"}
_MERGE = {"content-type": "application/merge-patch+json"}


@dataclass(frozen=True, slots=True)
class AppliedDocument:
    """A document, and where its resource is or will be."""

    document: ManifestDocument
    kind: Served
    namespace: str | None

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, self.document.name)

    @property
    def title(self) -> str:
        return f"{self.kind.singular}.{self.kind.group}/{self.document.name}".replace("./", "/")


def place(documents: Sequence[ManifestDocument], kinds: Kinds, namespace: str | None) -> list[AppliedDocument]:
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
            placed.append(AppliedDocument(each, kind, (own or namespace or "default") if kind.namespaced else None))
    if faults:
        known = ", ".join(sorted({f"{each.kind} ({each.api_version})" for each in kinds}))
        raise Misuse("\n".join(faults), hint=f"nothing was sent; kinds here: {known}")
    return placed


@dataclass(frozen=True, slots=True)
class Applied:
    """`outcome`: created, configured or unchanged. `resource`: as it is now, or would be."""

    outcome: str
    resource: dict[str, Any]


def apply_all(api: ApiClient, placed: Sequence[AppliedDocument], *, dry_run: bool = False) -> None:
    """Says what became of each. Raises UserError when any was refused."""
    failed = 0
    # Namespaces first: what lives in them may come in the same folder.
    for each in sorted(placed, key=lambda p: p.kind.kind != "Namespace"):
        try:
            outcome = apply_one(api, each, dry_run=dry_run).outcome
        except Refused as error:
            failed += 1
            complain(f"{each.document.where}: {each.title}: {error}")
        else:
            say(f"{each.title} {outcome}{' (dry run)' if dry_run else ''}")
    if failed:
        raise UserError(f"{failed} of {len(placed)} refused", hint="correct what is named above, apply again")


def apply_one(api: ApiClient, placed: AppliedDocument, *, dry_run: bool = False) -> Applied:
    """Unchanged writes nothing. Raises Refused."""
    params = {**_STRICT, **({"dryRun": "All"} if dry_run else {})}
    body = placed.document.body
    try:
        live = api.get(placed.path)
    except Refused as error:
        if error.status != 404:
            raise
        collection = placed.kind.path(placed.namespace)
        return Applied("created", api.ask("POST", collection, json=with_last_applied(body), params=params))
    patch = apply_patch(body, live)
    if not patch:
        return Applied("unchanged", live)
    written = api.ask("PATCH", placed.path, json=patch, params=params, headers=_MERGE)
    return Applied("unchanged" if _version(written) == _version(live) else "configured", written)


def _version(resource: dict[str, Any]) -> str | None:
    version: str | None = resource["metadata"].get("resourceVersion")
    return version
