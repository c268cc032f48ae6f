"""`aerekos store migrate`: the records of a cloud that is down go into another database, and its settings say so."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cli.lifecycle.backup import refusals
from cli.output import Progress
from controller.main import running_conductor
from controller.main.errors import Misuse, UserError
from controller.main.remembered_settings import remember
from controller.main.settings import Settings, read_store
from controller.store.leading import Lead
from controller.store.migrating import Digest, migrate
from controller.store.records import NotLeading
from controller.store.sql import prepare

FILE = "file"


def move(settings: Settings, to: str) -> str:
    """What was moved, in words. What broke off is gone on with by the same command. Raises UserError."""
    target = replace(settings, store="" if to == FILE else read_store(to, "--to"))
    source = replace(settings, store="") if target.store and settings.store_file.exists() else settings
    if target.store == source.store:
        raise Misuse(f"--to: the records of this cloud are there already: {to}", hint="aerekos up")
    with refusals(), the_cloud_is_down(settings), ExitStack() as held, Progress("copying records") as progress:
        progress.now("copying records, and comparing them")
        before = held.enter_context(led(source.store, _place(target))) if source.store else None
        if target.store:
            held.enter_context(led(target.store))
        _discard_unfinished(target)
        moved = migrate(source.store_url, _part(target))
        if before:  # first: no other conductor goes on there, with records that ours has not
            try:
                before.retire(_place(target))
            except NotLeading:
                _discard_unfinished(target)
                raise
        _settle(source, target)
    return _words(source, target, moved)


@contextmanager
def the_cloud_is_down(settings: Settings) -> Iterator[None]:
    """Raises UserError for one that runs, or begins to."""
    if found := running_conductor.running(settings):
        raise UserError(f"the cloud runs (pid {found.pid}); its records would change meanwhile", hint="aerekos down")
    (settings.home / "store").mkdir(parents=True, exist_ok=True)
    settings.run.mkdir(parents=True, exist_ok=True)
    with running_conductor.the_only_one(settings):
        yield


@contextmanager
def led(url: str, to: str = "") -> Iterator[Lead]:
    """No conductor writes there meanwhile. `to`: where its records go, or went before the command broke off. Raises
    UserError where one leads.
    """
    prepare(url)
    lead = Lead(url, "aerekos store migrate", "")
    if lead.take():
        lead.keep()
    elif not (to and lead.is_retired(to)):
        hint = "stop it, or take a database that no cloud has"
        raise UserError(f"{url} is led by {lead.look().holder or 'another conductor'}", hint=hint)
    try:
        yield lead
    finally:
        lead.give_back()


def _place(target: Settings) -> str:
    """What tells it from every other."""
    return target.store or f"{socket.gethostname()}:{target.store_file.resolve()}"


def _part(target: Settings) -> str:
    """A file is put into its place when it is whole."""
    file = target.store_file
    return target.store or f"sqlite:///{file if file.exists() else _unfinished(target)}"


def _unfinished(target: Settings) -> Path:
    return target.store_file.with_suffix(".part")


def _discard_unfinished(target: Settings) -> None:
    """What is in it may have gone on where it came from: it is copied again."""
    for end in ("", "-wal", "-shm", "-journal"):
        Path(f"{_unfinished(target)}{end}").unlink(missing_ok=True)


def _settle(source: Settings, target: Settings) -> None:
    """The settings before the file: a start in between is refused, for a store in both places."""
    file = target.store_file
    if not target.store and not file.exists():
        _unfinished(target).rename(file)
    remember(target)
    if not source.store:
        file.rename(file.with_name(f"{file.name}.moved-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"))


def _words(source: Settings, target: Settings, moved: Digest) -> str:
    numbers = moved.numbers
    kept = "" if source.store else f"; the file before: {source.store_file}.moved-..."
    what = f"{numbers.rows} records of {numbers.living} resources, up to revision {numbers.revision}"
    return f"{what}: compared, and now in {target.store or target.store_file}{kept}"
