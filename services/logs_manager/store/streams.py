"""Log streams in memory: who wrote, and under which labels it is found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import orjson

Labels = dict[str, str]
MOST_STREAMS, MOST_STREAMS_OF_NAMESPACE = 20_000, 5_000
OF_INSTANCES, OF_INSTANCES_OF_NAMESPACE = 5_000, 1_000
"""Of these, for what instances write alone: whoever pushes cannot use them up."""


class TooManyStreams(Exception):
    """No more streams are taken."""


class Stream:
    """`group`: the LogGroup's name as a resource. `labels`: as Loki has them. `created`: ms since 1970. `written`:
    which write since the start was its last. `saved`: whether it ever was on the disk.
    """

    def __init__(self, id: int, namespace: str, group: str, name: str, labels: Labels, created: int) -> None:
        self.id, self.namespace, self.group, self.name = id, namespace, group, name
        self.labels, self.created = labels, created
        self.written, self.saved = 0, False

    @cached_property
    def labels_text(self) -> str:
        return orjson.dumps(self.labels, option=orjson.OPT_SORT_KEYS).decode()


Key = tuple[str, str, str, str]
Group = tuple[str, str]
"""A namespace, and a LogGroup's name as a resource."""


class StreamIndex:
    """Used by one event loop; read by any thread."""

    def __init__(self, streams: Iterable[Stream] = (), newest: int = 0) -> None:
        """`newest`: the greatest number that was ever given."""
        self.by_id: dict[int, Stream] = {}
        self._by_key: dict[Key, Stream] = {}
        self._by_group: dict[Group, dict[int, Stream]] = {}
        self._of_namespace: dict[str, int] = {}
        self._next = newest + 1
        for each in streams:
            self._add(each)

    def __len__(self) -> int:
        return len(self.by_id)

    def find(self, namespace: str, group: str, name: str, labels: Mapping[str, str]) -> Stream | None:
        text = orjson.dumps(dict(labels), option=orjson.OPT_SORT_KEYS).decode()
        return self._by_key.get((namespace, group, name, text))

    def make(
        self, namespace: str, group: str, name: str, labels: Labels, created: int, *, of_instance: bool = False
    ) -> Stream:
        """The one there is, or a new one, which is not on the disk yet. Raises TooManyStreams."""
        if (found := self.find(namespace, group, name, labels)) is not None:
            return found
        most = MOST_STREAMS - (0 if of_instance else OF_INSTANCES)
        if len(self) >= most:
            raise TooManyStreams(f"there are {most} log streams already; delete some, or use fewer labels")
        most = MOST_STREAMS_OF_NAMESPACE - (0 if of_instance else OF_INSTANCES_OF_NAMESPACE)
        if self._of_namespace.get(namespace, 0) >= most:
            raise TooManyStreams(
                f"the namespace {namespace} has {most} log streams already; ids belong into the line or its "
                "structured metadata, not into labels"
            )
        return self._add(Stream(self._next, namespace, group, name, labels, created))

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """What is made inside is gone again where something is raised. Nothing is awaited inside."""
        first = self._next
        try:
            yield
        except Exception:
            self.remove(range(first, self._next))
            raise

    def of_group(self, namespace: str, group: str) -> list[Stream]:
        return list(self._by_group.get((namespace, group), {}).values())

    def by_group(self) -> dict[Group, list[Stream]]:
        """All of them."""
        return {group: list(streams.values()) for group, streams in list(self._by_group.items())}

    def all(self, namespace: str | None = None) -> list[Stream]:
        return [each for each in self._all() if namespace in (None, each.namespace)]

    def remove(self, ids: Iterable[int]) -> None:
        for id in ids:
            if (found := self.by_id.pop(id, None)) is not None:
                del self._by_key[_key(found)]
                group = (found.namespace, found.group)
                del self._by_group[group][id]
                if not self._by_group[group]:
                    del self._by_group[group]
                self._of_namespace[found.namespace] -= 1

    def put_back(self, streams: Iterable[Stream]) -> None:
        """What was removed, but where another one has that name and labels by now."""
        for each in streams:
            if _key(each) not in self._by_key:
                self._add(each)

    def _all(self) -> list[Stream]:
        return list(self.by_id.values())

    def _add(self, stream: Stream) -> Stream:
        self.by_id[stream.id] = self._by_key[_key(stream)] = stream
        self._by_group.setdefault((stream.namespace, stream.group), {})[stream.id] = stream
        self._of_namespace[stream.namespace] = self._of_namespace.get(stream.namespace, 0) + 1
        self._next = max(self._next, stream.id + 1)
        return stream


def _key(stream: Stream) -> Any:
    return (stream.namespace, stream.group, stream.name, stream.labels_text)
