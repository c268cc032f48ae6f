"""Key files with generations, for authors (a managed service does not import controller)."""

from controller.kit.generations import Generation, parse

__all__ = ["Generation", "parse"]
