"""Versions, delete markers, conditions and listings of the metadata index, against a model of plain lists."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.storage_manager.errors import S3Error
from services.storage_manager.list_versions import list_page
from services.storage_manager.listing import page
from services.storage_manager.metadata import MetadataIndex, Object, Piece
from services.storage_manager.preconditions import DeleteCondition, write_check

KEYS = ["a", "a/1", "a/2", "a/b/c", "b", "b\U0010ffff", "é"]
PREFIXES, DELIMITERS = st.sampled_from(["", "a", "a/", "b", "x"]), st.sampled_from(["", "/"])
keys, conditions = st.sampled_from(KEYS), st.sampled_from(["none", "new", "same", "other"])


@dataclass
class Version:
    """One of the model's; newest last in its list. `id`: empty for the null version."""

    id: str
    etag: str
    marker: bool = False


@dataclass
class Model:
    """What S3's user guide says, with nothing clever in it."""

    status: str = ""
    keys: dict[str, list[Version]] = field(default_factory=dict)

    def current(self, key: str) -> Version | None:
        newest = self.keys.get(key, [])[-1:]
        return newest[0] if newest and not newest[0].marker else None

    def add(self, key: str, made: Version) -> None:
        there = self.keys.setdefault(key, [])
        if not made.id:
            there[:] = [each for each in there if each.id]
        there.append(made)

    def drop(self, key: str, id: str) -> None:
        self.keys[key] = [each for each in self.keys.get(key, []) if each.id != id]
        if not self.keys[key]:
            del self.keys[key]


class VersionsAndModel(RuleBasedStateMachine):
    """The same is done to both; both must say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.index, self.model = MetadataIndex(Path(self.folder.name) / "m.db"), Model()
        self.numbers = count(1)

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(status=st.sampled_from(["Enabled", "Suspended"]))
    def set_versioning(self, status: str) -> None:
        self.index.put_configuration("bucket", "versioning", {"Status": status})
        self.model.status = status

    @rule(key=keys, condition=conditions)
    def put(self, key: str, condition: str) -> None:
        number, current = next(self.numbers), self.model.current(key)
        etag = current.etag if current else "absent"
        headers = {"new": {"if-none-match": "*"}, "same": {"if-match": etag}, "other": {"if-match": "other"}}
        refused = {"none": False, "new": current is not None, "same": current is None, "other": True}[condition]
        new = Object(key, number, f"etag-{number}", float(number), {}, (Piece(f"blob-{number}", number, ""),))
        made = self.tried(
            lambda: self.index.put("bucket", new, write_check(headers.get(condition, {}))), refused=refused
        )
        if made is not None:
            assert bool(made.version) == (self.model.status == "Enabled")
            self.model.add(key, Version(made.version, new.etag))

    @rule(key=keys, matches=st.booleans())
    def delete(self, key: str, matches: bool) -> None:
        there = self.model.keys.get(key, [])
        newest = there[-1] if there else None
        condition = DeleteCondition(etag=newest.etag if matches and newest else "*" if matches else "other")
        refused = newest is not None and not matches
        made = self.tried(lambda: self.index.remove("bucket", key, condition), refused=refused)
        if refused:
            return
        assert (made is not None) == bool(self.model.status)
        if made is None:
            self.model.drop(key, "")
        else:
            self.model.add(key, Version(made.version, "", marker=True))

    @rule(key=keys, which=st.integers(0, 5))
    def delete_version(self, key: str, which: int) -> None:
        there = self.model.keys.get(key, [])
        id = there[which].id if which < len(there) else "f" * 32
        gone = self.index.remove_version("bucket", key, id)
        assert (gone is not None) == (which < len(there))
        if gone is not None:
            self.model.drop(key, id)

    @rule(key=keys, which=st.integers(0, 5))
    def tag_version(self, key: str, which: int) -> None:
        there = self.model.keys.get(key, [])
        if which < len(there) and not there[which].marker:
            self.index.change_attributes("bucket", key, there[which].id, lambda _: {"tags": {"n": str(which)}})
            found = self.index.find_version("bucket", key, there[which].id)
            assert found is not None and found.attributes == {"tags": {"n": str(which)}}

    def tried(self, call: Callable[[], Object | None], *, refused: bool) -> Object | None:
        if not refused:
            return call()
        with pytest.raises(S3Error):
            call()
        return None

    @invariant()
    def each_key_is_what_the_model_says(self) -> None:
        for key in KEYS:
            found, current = self.index.find("bucket", key), self.model.current(key)
            assert (found.etag if found else None) == (current.etag if current else None)
            for each in self.model.keys.get(key, []):
                seen = self.index.find_version("bucket", key, each.id)
                assert seen is not None and (seen.etag, seen.marker) == (each.etag, each.marker)

    @invariant()
    def only_what_is_there_is_kept(self) -> None:
        blobs = {f"blob-{each.etag[5:]}" for vs in self.model.keys.values() for each in vs if not each.marker}
        garbage = set(self.index.garbage_blobs(before=float("inf")))
        assert self.index.known_blobs() - garbage == blobs and not garbage & blobs
        assert self.index.usage("bucket")[0] == sum(map(len, self.model.keys.values()))
        assert self.index.is_empty("bucket") == (not self.model.keys)

    @rule(
        prefix=st.sampled_from(["", "a", "a/", "b", "x"]),
        delimiter=st.sampled_from(["", "/"]),
        size=st.integers(1, 3),
    )
    def list_versions(self, prefix: str, delimiter: str, size: int) -> None:
        """Page by page, whatever their size."""
        seen: list[tuple[str, str, bool]] = []
        prefixes: list[str] = []
        after: tuple[str, str | None] = ("", None)
        while True:
            found = list_page(self.index, "bucket", prefix, delimiter, after, size)
            assert len(found) <= size
            seen += [(each.key, each.version, latest) for each, latest in found.entries]
            prefixes += found.prefixes
            if not found.truncated:
                break
            after = found.next
        wanted, groups = self.wanted(prefix, delimiter, sorted(self.model.keys, key=str.encode))
        expected = [
            (key, each.id, index == 0) for key in wanted for index, each in enumerate(reversed(self.model.keys[key]))
        ]
        assert (seen, prefixes) == (expected, groups)

    @rule(
        prefix=st.sampled_from(["", "a", "a/", "b", "x"]),
        delimiter=st.sampled_from(["", "/"]),
        size=st.integers(1, 3),
    )
    def list_objects(self, prefix: str, delimiter: str, size: int) -> None:
        seen: list[str] = []
        prefixes: list[str] = []
        after = ""
        while True:
            found = page(
                lambda at, inclusive, most: self.index.page("bucket", at, inclusive, most),
                prefix=prefix,
                delimiter=delimiter,
                after=after,
                limit=size,
            )
            seen, prefixes, after = (
                [*seen, *(each.key for each in found.objects)],
                prefixes + found.prefixes,
                found.last,
            )
            if not found.truncated:
                break
        there = [key for key in sorted(self.model.keys, key=str.encode) if self.model.current(key)]
        assert (seen, prefixes) == self.wanted(prefix, delimiter, there)

    @staticmethod
    def wanted(prefix: str, delimiter: str, there: list[str]) -> tuple[list[str], list[str]]:
        plain: list[str] = []
        groups: list[str] = []
        for key in (each for each in there if each.startswith(prefix)):
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                groups.append(prefix + rest[: rest.index(delimiter) + 1])
            else:
                plain.append(key)
        return plain, list(dict.fromkeys(groups))


VersionsAndModel.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
test_versions_are_what_the_model_says = VersionsAndModel.TestCase
