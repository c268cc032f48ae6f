"""`aerekos restore --namespace N`: one namespace, or some resources of it, from a backup into the cloud that runs.

Everything goes through the API as anybody's change does: it is judged, has history, and can be undone. Nothing
outside that namespace is touched, and nothing is deleted: what has come since stays, and is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.api_client import ApiClient, local
from cli.errors import Refused
from cli.lifecycle.backup import follow, read_passphrase, refusals
from cli.lifecycle.restore import Which, manifest_of, moment_of
from cli.output import Progress
from cli.resources.diff import live_object
from cli.resources.history import Subject, Version, is_as_then, put_back, recreate
from cli.resources.kinds import Kinds, discover
from controller.backup.locations import open_location
from controller.backup.repository import open_repository
from controller.main.backups.reading import read_namespace
from controller.main.backups.scratch import scratch_folder
from controller.main.errors import Misuse, UserError
from controller.main.settings import Settings
from controller.store.records import Record
from crds.kinds.event import EVENT
from crds.kinds.lease import LEASE
from crds.managed import ManagedService
from crds.model import rfc3339
from services.sdk.discovery import catalog_of, managed_services, use_folders

_OF_THE_MOMENT = frozenset((each.group, each.plural) for each in (EVENT, LEASE))
# Who is referred to comes before who refers.
_FIRST = ("namespaces", "serviceaccounts", "configmaps", "secrets", "roles")


@dataclass(frozen=True, slots=True)
class Part:
    """What is asked for: a namespace, and in it these as `kind/name`; all where there are none."""

    namespace: str
    only: tuple[str, ...] = ()


def restore_part(
    settings: Settings, place: str, passphrase_file: Path, which: Which, part: Part, *, dry_run: bool
) -> str:
    """What was changed, or would be, in words. Raises UserError: at once where nothing can be done, at the end for
    what was refused.
    """
    moment = moment_of(which.as_of)
    with local(settings) as api:
        kinds = discover(api)
        asked = {_asked(kinds, each) for each in part.only}
        with refusals(), Progress("reading the backups") as progress:
            use_folders(settings.services_path)
            repository = open_repository(open_location(place), read_passphrase(passphrase_file))
            manifest = manifest_of(repository, moment, which)
            follow(repository, progress, f"reading {manifest.head.id}")
            with scratch_folder(settings.home / "run", "part-") as folder:
                services = managed_services()
                found = read_namespace(repository, manifest, folder, services, part.namespace, moment)
        if not found:
            raise UserError(f"there is no namespace {part.namespace} in backup {manifest.head.id}")
        if missing := asked - {_place(each) for each in found}:
            named = ", ".join(f"{plural}/{name}" for _, plural, name in sorted(missing))
            raise UserError(f"{named}: not in namespace {part.namespace} of backup {manifest.head.id}")
        chosen = [each for each in found if not asked or _place(each) in asked]
        restoring = Restoring(api, kinds, managed_services(), part.namespace, dry_run=dry_run, by_name=bool(asked))
        lines = restoring.run(chosen)
        if not asked:
            lines += restoring.stays(chosen)
    as_of = f"as of {moment}" if moment is not None else f"of {rfc3339(manifest.head.made_at)}"
    lines.append(f"backup {manifest.head.id}, {as_of}, namespace {part.namespace}: {restoring.summary()}")
    if restoring.refused:
        raise UserError("\n".join([*lines, f"{restoring.refused} refused"]), hint="correct what is named, and repeat")
    return "\n".join(lines)


class Restoring:
    """One after the other, each by itself. `by_name`: somebody has named each of them."""

    def __init__(
        self,
        api: ApiClient,
        kinds: Kinds,
        services: Sequence[ManagedService],
        namespace: str,
        *,
        dry_run: bool,
        by_name: bool = False,
    ) -> None:
        self._api, self._kinds, self._namespace, self._dry_run = api, kinds, namespace, dry_run
        # Of a kind whose service keeps sealed material of each: one that is made again has another.
        self._with_material = {
            (kind.group, kind.plural): service.service_name
            for service in services
            if any(each.internal for each in service.kinds)
            for kind in service.kinds
        }
        self._by_name = by_name
        catalog = catalog_of(tuple(services))
        self._sealed = {(kind.group, kind.plural) for kind in catalog if kind.sealed}
        # Nobody is served those: who keeps them makes them.
        self._unserved = {(kind.group, kind.plural) for kind in catalog if kind.internal or not kind.served}
        self._no_room = False
        """Whether the namespace itself is still to be made, which a dry run does not."""
        self.made = self.changed = self.same = self.refused = self.left = 0

    def run(self, records: Iterable[Record]) -> list[str]:
        """What became of each, where there is something to say."""
        lines = []
        for record in sorted(records, key=_order):
            try:
                if said := self._one(record):
                    lines.append(said)
            except (Refused, UserError) as refused:
                self.refused += 1
                lines.append(f"{record.key.plural}/{record.key.name}: {getattr(refused, 'message', refused)}")
        return lines

    def stays(self, records: Sequence[Record]) -> list[str]:
        """What is there now, and was not then."""
        then = {_place(each) for each in records}
        groups = {(each.key.group, each.key.plural) for each in records}
        new = []
        for kind in self._kinds:
            place = (kind.group, kind.plural)
            if place not in groups or not kind.namespaced or place in _OF_THE_MOMENT:
                continue
            for item in self._api.get(kind.path(self._namespace))["items"]:
                name = item["metadata"]["name"]
                if (kind.group, kind.plural, name) not in then and _controller_of(item) is None:
                    new.append(f"{kind.title(name)} has come since: it stays")
        return new

    def summary(self) -> str:
        counted = f"{self.made} made again, {self.changed} put back, {self.same} as they were, {self.left} left out"
        return f"{counted}; nothing was changed: --dry-run" if self._dry_run else counted

    def _one(self, record: Record) -> str:
        body, key = record.object, record.key
        if made_by := _made_by(record):
            if self._by_name:
                raise UserError(f"made by {made_by}, not by people: it is not restored")
            return ""
        version, name = str(body.get("apiVersion")), str(body.get("kind"))
        kind = self._kinds.of(version, name)
        if kind is None and key[:2] in self._unserved:
            return ""
        if kind is None:
            self.left += 1
            return f"{key.plural}/{key.name}: the kind {name} ({version}) is not defined now: define it, and repeat"
        about = Subject(kind, key.namespace, key.name)
        live = live_object(self._api, about.path)
        if not live and (service := self._with_material.get(key[:2])):
            self.left += 1
            return f"{about.title} is gone, and with it what {service} kept for it: only the whole cloud has that"
        if live and is_as_then(live, body):
            self.same += 1
            return ""
        then = Version(record.revision, record.verb, rfc3339(record.written_at), record.written_by, body)
        if not live:
            if self._no_room:
                text = f"{about.title} made again as it was in revision {record.revision}"
            else:
                text = recreate(self._api, about, then, self._dry_run)
            self.made += 1
            self._no_room = self._no_room or (self._dry_run and not kind.namespaced)
            return text
        text = put_back(self._api, about, then, self._dry_run)
        self.changed += 1
        return f"{about.title} is as then again (what differs is not shown)" if key[:2] in self._sealed else text


def _asked(kinds: Kinds, word: str) -> tuple[str, str, str]:
    kind, slash, name = word.partition("/")
    if not slash or not name:
        raise Misuse(f"--only: {word!r} is not KIND/NAME", hint="for example --only service/web")
    found = kinds.stored(kinds.called(kind))
    return found.group, found.plural, name


def _place(record: Record) -> tuple[str, str, str]:
    return record.key.group, record.key.plural, record.key.name


def _made_by(record: Record) -> str:
    """Who makes it anew, from what is restored or by itself; empty where people do."""
    if record.key[:2] in _OF_THE_MOMENT:
        return "the cloud for a moment"
    owner = _controller_of(record.object)
    return f"{str(owner.get('kind')).lower()}/{owner.get('name')}" if owner else ""


def _controller_of(body: dict[str, Any]) -> dict[str, Any] | None:
    return next((each for each in body["metadata"].get("ownerReferences") or () if each.get("controller")), None)


def _order(record: Record) -> tuple[int, tuple[str, ...]]:
    plural = record.key.plural
    return (_FIRST.index(plural) if plural in _FIRST else len(_FIRST)), tuple(record.key)
