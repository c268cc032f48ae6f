"""The stages of a pipeline: each takes a line and its labels, changes them, and says whether it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from services.logs_manager.levels import level_of
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.logql.lexer import bytes_of, number_of, seconds_of
from services.logs_manager.logql.matching import compiled, selects, text_test
from services.logs_manager.logql.nodes import (
    Both,
    Compare,
    Format,
    LabelFilter,
    LineFilter,
    Only,
    Parse,
    Stage,
    Unwrap,
)
from services.logs_manager.store.log_store import LONGEST_LINE

ERROR, LEVEL = "__error__", "detected_level"
MOST_LABELS, LONGEST_VALUE = 256, 32_768


class Row:
    """One line on its way. `at`: ns since 1970. `labels` of the stream, then of what the stages found."""

    __slots__ = ("at", "labels", "line", "value")

    def __init__(self, at: int, line: str, labels: dict[str, str]) -> None:
        self.at, self.line, self.labels = at, line, labels
        self.value = 0.0

    def get(self, name: str) -> str:
        if name == LEVEL and LEVEL not in self.labels:
            self.labels[LEVEL] = self.labels.get("level") or level_of(self.line)
        return self.labels.get(name, "")

    def extract(self, name: str, value: str) -> None:
        """As Loki: what is there already keeps its name."""
        if len(self.labels) < MOST_LABELS:
            self.labels[f"{name}_extracted" if name in self.labels else name] = value[:LONGEST_VALUE]

    def fail(self, error: str) -> None:
        self.labels.setdefault(ERROR, error)


Step = Callable[[Row], bool]


def needles_of(stages: Sequence[Stage]) -> list[bytes]:
    """What a line has to hold, known before it is read: of the filters in front of everything that changes lines."""
    found = []
    for each in stages:
        if isinstance(each, Format) and not each.name:
            break
        if isinstance(each, LineFilter) and each.op == "|=" and len(each.values) == 1 and each.values[0]:
            found.append(each.values[0].encode("utf-8", "replace"))
    return found


def steps_of(stages: Sequence[Stage]) -> list[Step]:
    """Raises QueryFault."""
    return [_step(each) for each in stages]


def _step(stage: Stage) -> Step:
    if isinstance(stage, LineFilter):
        return _line_filter(stage)
    if isinstance(stage, Parse):
        return _parser(stage)
    if isinstance(stage, Compare | Both):
        return _label_filter(stage)
    if isinstance(stage, Format):
        return _format(stage)
    return _only(stage) if isinstance(stage, Only) else _unwrap(stage)


def _line_filter(stage: LineFilter) -> Step:
    values = stage.values
    if stage.op == "|=":
        return lambda row: any(each in row.line for each in values)
    if stage.op == "!=":
        return lambda row: not any(each in row.line for each in values)
    searches = [compiled(each, whole=False).search for each in values]
    if stage.op == "|~":
        return lambda row: any(search(row.line) is not None for search in searches)
    return lambda row: not any(search(row.line) is not None for search in searches)


def _label_filter(stage: LabelFilter) -> Step:
    if isinstance(stage, Both):
        left, right = _label_filter(stage.left), _label_filter(stage.right)
        if stage.op == "and":
            return lambda row: left(row) and right(row)
        return lambda row: left(row) or right(row)
    name = stage.name
    if isinstance(stage.value, str):
        test = text_test(stage.op, stage.value)
        return lambda row: test(row.get(name))
    return _number_filter(name, stage.op, stage.value, stage.unit)


def _number_filter(name: str, op: str, wanted: float, unit: str) -> Step:
    read, compare = _READ[unit], COMPARE[op]

    def step(row: Row) -> bool:
        text = row.get(name)
        if not text:
            return False
        found = read(text)
        if found is None:
            row.fail("LabelFilterErr")
            return True  # as Loki: it goes on with its error, and whoever does not want it filters __error__
        return compare(found, wanted)

    return step


_READ: dict[str, Callable[[str], float | None]] = {"number": number_of, "duration": seconds_of, "bytes": bytes_of}
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


def _parser(stage: Parse) -> Step:
    if stage.how == "json":
        return _json(stage.fields)
    if stage.how == "logfmt":
        return _logfmt(stage.fields)
    expression = stage.text if stage.how == "regexp" else _pattern(stage.text)
    found = compiled(expression, whole=False)
    names = found.groupindex
    if not names:
        raise QueryFault(f"{stage.how}: it has to name what it finds, as (?P<status>...) or <status>")

    def step(row: Row) -> bool:
        match = found.search(row.line)
        for name, number in names.items() if match is not None else ():
            row.extract(name, match[number] or "")
        return True

    return step


def _pattern(text: str) -> str:
    """`<ip> - <_> "<method> <path>"` as an expression. Raises QueryFault."""
    import re2

    parts, rest, last = [], text, ""
    while rest:
        plain, sign, rest = rest.partition("<")
        name, end, after = rest.partition(">")
        if sign and end and name.replace("_", "a").isalnum() and name.isascii() and not name[0].isdigit():
            if last and not plain:
                raise QueryFault("pattern: there has to be something between two captures")
            parts += [re2.escape(plain), "(?:.*?)" if name == "_" else f"(?P<{name}>.*?)"]
            rest, last = after, name
        else:
            parts += [re2.escape(plain + sign)]
            last = ""
    return f"(?s)^{''.join(parts)}$"


def _json(fields: Sequence[tuple[str, str]]) -> Step:
    paths = [(label, _path(expression)) for label, expression in fields]

    def step(row: Row) -> bool:
        try:
            found = orjson.loads(row.line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            row.fail("JSONParserErr")
        elif paths:
            for label, path in paths:
                row.extract(label, text_of_json(_at(found, path)))
        else:
            _flatten(row, "", found)
        return True

    return step


def _flatten(row: Row, prefix: str, found: dict[str, Any], depth: int = 0) -> None:
    for key, value in found.items():
        name = prefix + "".join(each if each.isascii() and each.isalnum() else "_" for each in key)
        name = f"_{name}" if name[:1].isdigit() else name
        if isinstance(value, dict) and depth < 8:
            _flatten(row, f"{name}_", value, depth + 1)
        elif name and value is not None and not isinstance(value, list | dict):
            row.extract(name, text_of_json(value))


def _path(expression: str) -> list[str | int]:
    """Of `request.headers["x"][0]`. Raises QueryFault."""
    found: list[str | int] = []
    rest = expression
    while rest:
        if rest.startswith("["):
            inner, end, rest = rest[1:].partition("]")
            if not end or not inner:
                raise QueryFault(f"json: {expression!r} is no path")
            if (is_index := inner.isascii() and inner.isdigit()) and len(inner) > 9:
                raise QueryFault(f"json: {inner[:20]}... is no place in a list")
            found.append(int(inner) if is_index else inner.strip("\"'"))
            continue
        rest = rest.removeprefix(".")
        end_at = min((at for sign in ".[" if (at := rest.find(sign)) >= 0), default=len(rest))
        if not end_at:
            raise QueryFault(f"json: {expression!r} is no path")
        found.append(rest[:end_at])
        rest = rest[end_at:]
    return found


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for each in path:
        if isinstance(value, dict) and isinstance(each, str):
            value = value.get(each)
        elif isinstance(value, list) and isinstance(each, int):
            value = value[each] if each < len(value) else None
        else:
            return None
    return value


def text_of_json(value: Any) -> str:
    """A value of JSON as a field's text; empty for none, and for what is nested too deeply to be written."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return ""


def _logfmt(fields: Sequence[tuple[str, str]]) -> Step:
    wanted = {expression: label for label, expression in fields}

    def step(row: Row) -> bool:
        for key, value in logfmt_pairs(row.line):
            name = wanted.get(key) if wanted else "".join(c if c.isascii() and c.isalnum() else "_" for c in key)
            if name:
                row.extract(name, value)
        return True

    return step


def logfmt_pairs(line: str) -> list[tuple[str, str]]:
    """`a=1 b="two words" c` → a, b, and c without a value is left out."""
    found, at = list[tuple[str, str]](), 0
    while (equal := line.find("=", at)) >= 0 and len(found) < MOST_LABELS:
        key = line[at:equal].rpartition(" ")[2].rpartition("\t")[2]
        at = equal + 1
        if line[at : at + 1] == '"':
            end = at + 1
            while end < len(line) and line[end] != '"':
                end += 2 if line[end] == "\\" else 1
            value = line[at + 1 : end].replace('\\"', '"').replace("\\\\", "\\")
            at = end + 1
        else:
            end = line.find(" ", at)
            end = len(line) if end < 0 else end
            value, at = line[at:end], end
        if key:
            found.append((key, value))
    return found


def _format(stage: Format) -> Step:
    name = stage.name
    if stage.rename:
        other = stage.template

        def rename(row: Row) -> bool:
            if (value := row.get(other)) or other in row.labels:
                row.labels.pop(other, None)
                row.labels[name] = value
            return True

        return rename
    parts = _template(stage.template)

    def step(row: Row) -> bool:
        if name:
            row.labels[name] = _filled(row, parts, LONGEST_VALUE)
        else:
            row.line = _filled(row, parts, LONGEST_LINE)
        return True

    return step


def _filled(row: Row, parts: Sequence[tuple[bool, str]], most: int) -> str:
    """What a template says of that line, at most so many characters: each stage could double it."""
    found, left = list[str](), most
    for is_plain, each in parts:
        text = (each if is_plain else _named(row, each))[:left]
        found.append(text)
        left -= len(text)
        if not left:
            break
    return "".join(found)


def _named(row: Row, name: str) -> str:
    return row.line if name == "__line__" else row.get(name)


def _template(text: str) -> list[tuple[bool, str]]:
    """Plain parts, and names of labels. Raises QueryFault."""
    parts, rest = [], text
    while rest:
        plain, sign, rest = rest.partition("{{")
        parts.append((True, plain))
        if not sign:
            break
        inner, end, rest = rest.partition("}}")
        name = inner.strip()
        if not end or not (name == "__line__" or (name.startswith(".") and name[1:].isidentifier())):
            raise QueryFault(f"templates: {{{{.label}}}} and {{{{__line__}}}} are done here, {name[:60]!r} is not")
        parts.append((False, name.removeprefix(".")))
    return parts


def _only(stage: Only) -> Step:
    names, tests = set(stage.names), [(each.name, selects([each])) for each in stage.matchers]

    def is_meant(labels: dict[str, str], name: str) -> bool:
        return name in names or any(name == wanted and test(labels) for wanted, test in tests)

    def step(row: Row) -> bool:
        row.labels = {k: v for k, v in row.labels.items() if is_meant(row.labels, k) is stage.keep}
        return True

    return step


def _unwrap(stage: Unwrap) -> Step:
    read = {"": number_of, "bytes": bytes_of}.get(stage.convert, seconds_of)

    def step(row: Row) -> bool:
        text = row.get(stage.name)
        if not text:
            return False
        found = read(text)
        if found is None:
            row.fail("SampleExtractionErr")
            found = 0.0
        row.labels.pop(stage.name, None)
        row.value = found
        return True

    return step
