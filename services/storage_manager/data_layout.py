"""The layout of a service's data folder: the metadata index beside the blobs."""

from __future__ import annotations

from pathlib import Path

from services.storage_manager.blobs import Blobs
from services.storage_manager.metadata import MetadataIndex


def open_data(folder: Path) -> tuple[MetadataIndex, Blobs]:
    """Both may be opened by several replicas of one machine at once."""
    folder.mkdir(parents=True, exist_ok=True)
    return MetadataIndex(folder / "book.db"), Blobs(folder / "blobs")
