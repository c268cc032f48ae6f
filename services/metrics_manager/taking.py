"""What is sent here, by whatever protocol: how much of it is taken, and that it is kept or refused in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from crds.errors import BadRequest, Unavailable
from services.metrics_manager.store.sample_store import (
    AHEAD_MS,
    RETENTION_MS,
    Sample,
    SampleStore,
    TooManySeries,
)

MOST_SAMPLES, MOST_LABELS = 20_000, 200_000
"""Of one request: it is read in one turn of the loop, and becomes many times its size."""
LABELS_OF_SERIES, LONGEST_NAME, LONGEST_VALUE = 40, 256, 2_048


def too_much(hint: str) -> str:
    """Why a request is refused that has more. `hint`: what to lower."""
    most = f"at most {MOST_SAMPLES} samples and {MOST_LABELS} labels are taken"
    return f"this is too much for one request: {most}; lower {hint}"


def too_many_labels(of: str) -> str:
    """Why a series, or what becomes one, is refused."""
    return f"{of} has more than {LABELS_OF_SERIES} labels, or one longer than {LONGEST_VALUE} characters"


async def keep(store: SampleStore, samples: Sequence[Sample], now: int, each_is: str) -> None:
    """Durable when it returns. `now`: in ms; `each_is`: what the protocol calls a sample. Raises BadRequest,
    Unavailable.
    """
    if any(not now - RETENTION_MS <= each.time <= now + AHEAD_MS for each in samples):
        raise BadRequest(f"{each_is} is older than samples are kept, or more than ten minutes ahead")
    try:
        await write(store, samples)
    except TooManySeries as error:
        raise BadRequest(str(error)) from None  # never 429: sent again, it would be refused again


async def write(store: SampleStore, samples: Sequence[Sample]) -> None:
    """Durable when it returns. Raises TooManySeries, Unavailable."""
    try:
        await store.add(samples)
    except sqlite3.Error as error:
        raise Unavailable(f"the samples cannot be written: {error}", retry_after=5) from error
