"""What is stored where: objects, uploads and wrapped data keys, in one SQLite file beside the blobs."""

from services.storage_manager.book.lifetimes import Metadata
from services.storage_manager.book.records import Object, Part, Piece, Upload

__all__ = ["Metadata", "Object", "Part", "Piece", "Upload"]
