"""The metadata index: objects, uploads and wrapped data keys, in one SQLite file beside the blobs."""

from services.storage_manager.metadata.records import Object, Part, Piece, Upload
from services.storage_manager.metadata.retention import MetadataIndex

__all__ = ["MetadataIndex", "Object", "Part", "Piece", "Upload"]
