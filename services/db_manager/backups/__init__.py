"""Backups of Databases: base backups, write-ahead log, and the way back."""
