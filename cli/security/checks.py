"""Every check, in order; one that cannot be made is said to be skipped, never passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cli import api_client
from cli.security.cloud import check_cloud, look
from cli.security.files import check_files
from cli.security.finding import Finding
from cli.security.host import check_host
from cli.security.listeners import check_listeners
from controller.main.errors import UserError
from controller.main.settings import Settings


def examine(settings: Settings) -> Iterator[Finding]:
    """All findings."""
    yield from _guarded("files", lambda: check_files(settings))
    yield from _guarded("host", lambda: check_host(settings))
    yield from _guarded("listeners", lambda: check_listeners(settings))
    yield from _guarded("cloud", lambda: _cloud(settings))


def _cloud(settings: Settings) -> Iterator[Finding]:
    with api_client.connect(settings) as api:
        yield from check_cloud(look(api))


def _guarded(name: str, checks: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from checks()
    except UserError as error:
        yield Finding("skipped", name, error.message, "", error.hint)
    except OSError as error:
        yield Finding("skipped", name, f"{error.filename or name} cannot be read: {error.strerror}")
