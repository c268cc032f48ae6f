"""The condition keys of a request: names in any case, values as text, one or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Given = str | bool | int | float | Iterable[str | bool | int | float]


class Context:
    """What a request says of itself and of who makes it (`aws:SourceIp`, `s3:prefix`). A key without a value is as
    one that is not there.
    """

    __slots__ = ("_values",)

    def __init__(self, given: Mapping[str, Given] | None = None) -> None:
        self._values = {name.lower(): values for name, each in (given or {}).items() if (values := _texts(each))}

    def values(self, key: str) -> tuple[str, ...]:
        """All values of that (lower case) key; none where the request has no such key."""
        return self._values.get(key, ())

    def single(self, key: str) -> str | None:
        """The value of a key that has one."""
        found = self._values.get(key, ())
        return found[0] if len(found) == 1 else None

    def __contains__(self, key: str) -> bool:
        return key in self._values


def text_of(value: str | bool | int | float) -> str:
    """A value as policies write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _texts(given: Given) -> tuple[str, ...]:
    if isinstance(given, str | bool | int | float):
        return (text_of(given),)
    return tuple(map(text_of, given))
