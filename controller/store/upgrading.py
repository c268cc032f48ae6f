"""Bringing stored bodies up to date as they are read: every row says the format of the code that wrote it.

Nothing is rewritten on disk: the next write of a resource has the newest format, and until then each reading upgrades
again. A body of a newer format, as after a rollback, is handed out as it is: who decodes it passes over what it does
not know, and what this code writes says this code's format, so that the newer one upgrades it once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import structlog

from controller.store.records import Record
from crds.formats import Upgrade
from crds.meta import ObjectKey

FIRST_FORMAT = 1
KindUpgrades = Mapping[tuple[str, str], Sequence[Upgrade]]
log = structlog.get_logger("store")


class Upgrading:
    """`upgrades`: by group and plural, what leads from each format to the next; the first leads from 1 to 2."""

    def __init__(self, upgrades: KindUpgrades) -> None:
        self._upgrades = {kind: tuple(steps) for kind, steps in upgrades.items() if steps}

    def format_of(self, key: ObjectKey) -> int:
        """The format in which this code writes resources of that kind."""
        return FIRST_FORMAT + len(self._upgrades.get(key[:2], ()))

    def apply(self, record: Record, written: int) -> None:
        """Bring the body of `record`, which was `written` in that format, up to date. One that cannot be stays as it
        is, and `record.fault` says why.
        """
        steps = self._upgrades.get(record.key[:2], ())[max(written - FIRST_FORMAT, 0) :]
        if not steps:
            return
        try:
            body = orjson.loads(record.body)
            for step in steps:
                body = step(body)
            record.body = orjson.dumps(body)
        except Exception as error:  # whatever was stored: one record must not keep the others from being read
            record.fault = f"its format {written} cannot be upgraded: {error!r}"
            log.exception("an upgrade failed", resource=str(record.key), revision=record.revision, format=written)
