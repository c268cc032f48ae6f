"""`aerekos audit verify`: has anybody changed the audit log of this home? Reads files, and asks no conductor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from api.audit.chain import Chain, Verified, verify
from api.audit.journal import lines_of, read_head
from controller.main.errors import UserError
from controller.main.settings import Settings


def check(settings: Settings, file: Path | None = None) -> Verified:
    """Every line of `file`, or of the home's log and its older files. Raises UserError for what cannot be read."""
    key_file = settings.home / "secrets" / "audit-key"
    log = settings.home / "logs" / "audit.log"
    try:
        chain = Chain(key_file.read_bytes())
        if file is not None:
            return verify(chain, lines_of([file]), read_head(file))
        # The head first: the log may grow while it is read, never shrink.
        head = read_head(log)
        return verify(chain, lines_of(log_files(log)), head)
    except OSError as error:
        hint = "run it as the user the cloud runs as, with its AEREKOS_HOME"
        raise UserError(f"{error.filename} cannot be read: {error.strerror}", hint=hint) from error


def log_files(log: Path) -> list[Path]:
    """All files of that log, oldest first."""
    from api.audit.journal import rotated_files

    return [*rotated_files(log), *([log] if log.exists() else [])]


def report(found: Verified) -> Iterator[str]:
    """The outcome in words."""
    yield f"{found.lines} lines, number {found.first} to {found.last.seq}"
    if found.unsealed:
        yield f"{found.unsealed} older lines were written before there were seals"
    yield from found.faults
    if not found.faults:
        yield f"nothing was changed; the newest seal is {found.last.code}"
