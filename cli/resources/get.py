"""`aerekos get`: any kind, as a table, JSON, YAML or names; once, or as it changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cli.api_client import ApiClient
from cli.errors import NotReachable, Refused
from cli.output import as_json, as_yaml, complain, say
from cli.resources.kinds import Kinds, Served
from cli.resources.references import references
from cli.tables import TableView, grid
from controller.main.errors import Misuse, UserError

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
OUTPUTS = ("table", "wide", "json", "yaml", "name")


@dataclass(frozen=True, slots=True)
class Look:
    """How a listing is shown: the form, and for tables whether labels and headers are."""

    output: str = "table"
    labels: bool = False
    headers: bool = True


@dataclass(frozen=True, slots=True)
class GetOptions:
    """Options of `get`: what to get, and how to show it. `namespace` None means all of them, `revision` "" now."""

    kind: Served
    namespace: str | None = "default"
    names: tuple[str, ...] = ()
    labels: str = ""
    fields: str = ""
    look: Look = Look()
    revision: str = ""

    @property
    def output(self) -> str:
        return self.look.output

    @property
    def params(self) -> dict[str, str]:
        match = "Exact" if self.revision else ""
        chosen = {"labelSelector": self.labels, "fieldSelector": self.fields}
        chosen |= {"resourceVersion": self.revision, "resourceVersionMatch": match}
        return {key: value for key, value in chosen.items() if value}

    @property
    def as_table(self) -> bool:
        return self.output in ("table", "wide")

    @property
    def headers(self) -> dict[str, str]:
        return {"accept": TABLE if self.as_table else "application/json"}

    @property
    def shows_namespaces(self) -> bool:
        return self.kind.namespaced and self.namespace is None


def check_output(output: str) -> str:
    """Raises Misuse for a form we cannot print."""
    if output not in OUTPUTS:
        raise Misuse(f'-o: "{output}" is not known', hint=f"one of {', '.join(OUTPUTS)}")
    return output


def meant(kinds: Kinds, words: str, names: Sequence[str]) -> list[tuple[Served, tuple[str, ...]]]:
    """What `get WORDS NAMES` asks for: `keys`, `keys,buckets`, `key example` or `key/example service/x`.

    Raises Misuse.
    """
    if "/" not in words:
        if slashed := next((each for each in names if "/" in each), None):
            raise Misuse(f'"{slashed}" names a kind again', hint=f"aerekos get {words} NAME   or   KIND/NAME")
        return [(kind, tuple(names)) for kind in kinds.meant(words)]
    found: dict[Served, tuple[str, ...]] = {}
    for each in references((words, *names), "aerekos get KIND/NAME"):
        kind = kinds.called(each.word)
        found[kind] = (*found.get(kind, ()), each.name)
    return list(found.items())


def show(api: ApiClient, wanted: GetOptions) -> None:
    """Prints it once."""
    if wanted.as_table:
        _show_table(api, wanted)
    elif wanted.output == "name":
        for each in items(api, wanted):
            say(wanted.kind.title(each["metadata"]["name"]))
    else:
        show_objects(items(api, wanted), wanted.output, single=len(wanted.names) == 1)


def show_objects(found: list[dict[str, Any]], output: str, *, single: bool) -> None:
    value: Any = found[0] if single else {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": found}
    say(as_json(value) if output == "json" else as_yaml(value))


def items(api: ApiClient, wanted: GetOptions) -> list[dict[str, Any]]:
    """The resources themselves."""
    if wanted.names and not wanted.revision:
        _require_one_room(wanted)
        return [api.get(wanted.kind.path(wanted.namespace, name)) for name in wanted.names]
    typed = {"apiVersion": wanted.kind.api_version, "kind": wanted.kind.kind}
    listed = [each for listing in _answers(api, wanted) for each in listing["items"]]
    return [{**typed, **each} for each in listed]


def _answers(api: ApiClient, wanted: GetOptions) -> Iterator[dict[str, Any]]:
    """Lists that hold what is wanted. One of the past is only in lists, which are asked for it by its name."""
    path = wanted.kind.path(wanted.namespace)
    if not wanted.names:
        yield api.get(path, params=wanted.params, headers=wanted.headers)
        return
    _require_one_room(wanted)
    for name in wanted.names:
        chosen = {**wanted.params, "fieldSelector": f"metadata.name={name}"}
        answer = api.get(path, params=chosen, headers=wanted.headers)
        if not answer.get("rows" if wanted.as_table else "items"):
            raise UserError(f"{wanted.kind.title(name)} was not there at revision {wanted.revision}")
        yield answer


def _require_one_room(wanted: GetOptions) -> None:
    if wanted.kind.namespaced and wanted.namespace is None:
        raise Misuse("a name needs one namespace, not all of them", hint="leave out -A, give -n NAMESPACE")


def _show_table(api: ApiClient, wanted: GetOptions) -> None:
    answers = list(_tables(api, wanted))
    rows = [row for answer in answers for row in answer.get("rows") or ()]
    if not rows:
        complain(f"no {wanted.kind.plural} {'here' if wanted.namespace is None else f'in {wanted.namespace}'}")
        return
    say(_view(answers[0], wanted).draw(rows, headers=wanted.look.headers))


def _tables(api: ApiClient, wanted: GetOptions) -> Iterator[dict[str, Any]]:
    if not wanted.names or wanted.revision:
        yield from _answers(api, wanted)
        return
    _require_one_room(wanted)
    for name in wanted.names:
        yield api.get(wanted.kind.path(wanted.namespace, name), headers=wanted.headers)


def _view(table: dict[str, Any], wanted: GetOptions) -> TableView:
    definitions = table.get("columnDefinitions") or []
    wide, namespaces = wanted.output == "wide", wanted.shows_namespaces
    return TableView(definitions, wide=wide, namespaces=namespaces, labels=wanted.look.labels)


def follow(api: ApiClient, wanted: GetOptions) -> None:
    """Prints what there is, then a line per change, until interrupted. Lists again when it fell too far behind."""
    if len(wanted.names) > 1:
        raise Misuse("--watch follows one name or all of them", hint="leave out the others")
    printer = Printer(wanted)
    while True:
        revision = printer.start(api)
        with suppress(NotReachable):
            for event in events_after(api, wanted, revision):
                printer.show(event)
        # The connection ended. Asking again either works or ends with the reason.


def events_after(api: ApiClient, wanted: GetOptions, revision: str) -> Iterator[dict[str, Any]]:
    """The events of one connection. Ends quietly when that history is compacted (410)."""
    fields = [*filter(None, [wanted.fields]), *(f"metadata.name={name}" for name in wanted.names)]
    params = {**wanted.params, "watch": "true", "resourceVersion": revision}
    if fields:
        params["fieldSelector"] = ",".join(fields)
    with api.stream(wanted.kind.path(wanted.namespace), params=params, headers=wanted.headers) as answer:
        for line in answer.iter_lines():
            event = json.loads(line) if line else {}
            if event.get("type") == "ERROR":
                _require_expired(event["object"])
                return
            if event.get("type") in ("ADDED", "MODIFIED", "DELETED"):
                yield event


def _require_expired(status: dict[str, Any]) -> None:
    if status.get("code") != 410:
        raise Refused(str(status.get("message", "the watch failed")), status=int(status.get("code", 500)))


class Printer:
    """Lines of a watch, in columns that stay as wide as they were at the start."""

    def __init__(self, wanted: GetOptions) -> None:
        self._wanted = wanted
        self._view: TableView | None = None
        self._widths: list[int] = []
        self._told: dict[str, str] = {}

    def start(self, api: ApiClient) -> str:
        """Prints what is new since the last listing; the revision to go on from."""
        wanted = self._wanted
        path = wanted.kind.path(wanted.namespace)
        params = dict(wanted.params)
        if wanted.names:
            params["fieldSelector"] = ",".join([*filter(None, [wanted.fields]), f"metadata.name={wanted.names[0]}"])
        listing = api.get(path, params=params, headers=wanted.headers)
        if wanted.as_table:
            self.show({"type": "ADDED", "object": listing})
        else:
            for each in listing["items"]:
                self.show({"type": "ADDED", "object": each})
        return str(listing["metadata"].get("resourceVersion", ""))

    def show(self, event: dict[str, Any]) -> None:
        if self._wanted.as_table:
            self._rows(event["object"])
        elif self._wanted.output == "name":
            say(self._wanted.kind.title(event["object"]["metadata"]["name"]))
        elif self._wanted.output == "json":
            say(json.dumps(event["object"], ensure_ascii=False))
        else:
            say(f"---\n{as_yaml(event['object'])}")

    def _rows(self, table: dict[str, Any]) -> None:
        rows = [row for row in table.get("rows") or () if self._is_news(row)]
        first = self._view is None and bool(table.get("columnDefinitions"))
        if first:
            self._view = _view(table, self._wanted)
        if self._view is None:
            return
        cells = [self._view.row(row) for row in rows]
        if not cells and not first:
            return
        text = grid(self._padded(self._view.header), [self._padded(each) for each in cells])
        lines = text.splitlines()
        if first:
            self._widths = _widths([self._view.header, *cells])
        for line in lines if first and self._wanted.look.headers else lines[1:]:
            say(line)

    def _is_news(self, row: dict[str, Any]) -> bool:
        """After listing again, rows that were shown in this very version are not."""
        meta = (row.get("object") or {}).get("metadata") or {}
        uid, version = meta.get("uid", ""), meta.get("resourceVersion", "")
        if uid and self._told.get(uid) == version:
            return False
        self._told[uid] = version
        return True

    def _padded(self, cells: list[Any]) -> list[Any]:
        if not self._widths:
            return cells
        return [f"{cell}".ljust(width) for cell, width in zip(cells, self._widths, strict=True)]


def _widths(lines: list[list[Any]]) -> list[int]:
    return [max(len(str(line[i])) for line in lines) for i in range(len(lines[0]))]
