"""What a backup refuses, in words for people."""

from __future__ import annotations


class BackupError(Exception):
    """Base of it. The message names the place and the fix."""


class WrongPassphrase(BackupError):
    """The passphrase does not open this place."""


class Damaged(BackupError):
    """Something of a backup is missing, shortened or changed: it is not used."""


class Unreachable(BackupError):
    """The place cannot be read or written now."""


class Refused(BackupError):
    """It makes no sense as it is asked for; nothing was changed."""
