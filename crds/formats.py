"""Versions of what is stored, and who may read it: expand first, contract a release later, so that going back works.

Every stored format says two numbers: the version that wrote it, and the oldest version whose code reads it rightly. A
change that older code can live with (a new table, a new column) raises the first alone; only a release later, when
nothing older than that is gone back to, may one raise the second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class FormatVersion(NamedTuple):
    """`version` of what is written; `oldest_reader`: the oldest version of code that may read it."""

    version: int
    oldest_reader: int


Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
"""From the body of a resource in one format, another one in the next; the given one stays as it is.

It adds to what is there and takes nothing away: after a rollback, code of the format before goes on with the result,
and what that writes comes here again. So done twice it is done once. What it does not understand it leaves; what it
cannot bring up to date it raises for, and that record is set aside.
"""


class NewerFormat(Exception):
    """Written by a newer version, in a way this one would misread."""


FIRST = FormatVersion(version=1, oldest_reader=1)
"""Of what says nothing of its version: it is older than the saying."""


def versions_due(what: str, found: FormatVersion, own: FormatVersion) -> range:
    """The versions whose migrations are still to be run on what was found, in order; none on what is newer.

    Raises NewerFormat, naming `what` and the fix, when code of `own` may not read it.
    """
    if found.oldest_reader > own.version:
        raise NewerFormat(
            f"{what} has format {found.version}, which takes code that knows format {found.oldest_reader}; this code"
            f" knows {own.version}. Install the newer version again; nothing was changed"
        )
    return range(found.version + 1, own.version + 1)
