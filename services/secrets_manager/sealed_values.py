"""Sealed values that were read lately, so that a secret many ask for is not fetched for each of them.

What is held is as useless as what is stored: it is opened for each request, with a data key and a right to it. A
version's value never changes; sealed again, it is under another key, which is part of its name here.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from services.secrets_manager.kinds import SecretVersion

MOST_BYTES = 8 * 2**20


class ValueName(NamedTuple):
    """The version of a secret, and the key its status says it is sealed with."""

    uid: str
    version_id: str
    key: str


class SealedValues:
    """The least recently used go first when there are more than `most` bytes."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most, self._bytes = most, 0
        self._held: OrderedDict[ValueName, SecretVersion] = OrderedDict()

    def get(self, name: ValueName) -> SecretVersion | None:
        """None when it is not held."""
        found = self._held.get(name)
        if found is not None:
            self._held.move_to_end(name)
        return found

    def put(self, name: ValueName, version: SecretVersion) -> None:
        """Hold it from now on."""
        self.drop(name)
        self._held[name] = version
        self._bytes += _size(version)
        while self._bytes > self._most:
            self._bytes -= _size(self._held.popitem(last=False)[1])

    def drop(self, name: ValueName) -> None:
        """It is gone, or is not what was thought."""
        if (before := self._held.pop(name, None)) is not None:
            self._bytes -= _size(before)


def _size(version: SecretVersion) -> int:
    return len(version.spec.sealed) + len(version.spec.wrapped)
