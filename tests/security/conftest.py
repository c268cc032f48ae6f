"""Stores of the tests that run here in memory are real, and quick."""

from quick_store import commits_wait_for_no_disk

__all__ = ["commits_wait_for_no_disk"]
