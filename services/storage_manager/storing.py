"""Where a service's data folder keeps what: the book beside the blobs."""

from __future__ import annotations

from pathlib import Path

from services.storage_manager.blobs import Blobs
from services.storage_manager.book import Metadata


def open_data(folder: Path) -> tuple[Metadata, Blobs]:
    """Both may be opened by several replicas of one machine at once."""
    folder.mkdir(parents=True, exist_ok=True)
    return Metadata(folder / "book.db"), Blobs(folder / "blobs")
